"""How fast the report pages' queries answer on many messages, beside the same figures counted from the ledger."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from include.database import connect, migrate, named_sql
from include.local.postgres import embedded_postgres
from include.reports.funnel import campaigns, funnel
from include.reports.optins import optins
from include.reports.recipients import Filters, recipients
from include.reports.refresh import refresh
from include.reports.rollup import SQL, count

SEED = named_sql(__file__, "bench.sql")
MONTH = 202610
CAMPAIGNS = 20
ENTITY = "bench"
NOW = datetime(2026, 10, 20, tzinfo=UTC)


def page(messages: int = 10_000_000, repeats: int = 40) -> dict[str, Any]:
    """Milliseconds (p95) of the slowest page's queries on `messages` ledger rows of 20 campaigns.

    The baseline is the same page from raw rows. `pages` has the p95 of every page, `refresh_200k_ms` the time
    to count a campaign of that size again. About three minutes and 4 GB of disk for ten million messages.
    """
    with (
        tempfile.TemporaryDirectory(prefix="whatsapp-bench-") as folder,
        embedded_postgres(Path(folder), settings={"fsync": "off", "max_wal_size": "16GB"}) as postgres,
    ):
        dsn = postgres.create_database("bench")
        migrate(dsn)
        _fill(dsn, messages // CAMPAIGNS)
        refreshed = refresh(ENTITY, dsn=dsn, now=NOW)
        with connect(dsn) as conn:
            newest: int = campaigns(conn, ENTITY, most=1)[0]["id"]
            slowest, p95, pages = _measure(conn, newest, repeats)
            baseline = _milliseconds(_from_raw_rows(conn, newest)[slowest])
    return {
        "value": p95,
        "unit": "ms (p95)",
        "baseline": round(baseline, 1),
        "ratio": round(baseline / p95, 1),
        "page": slowest,
        "pages": pages,
        "p95_ms": max(pages.values()),
        "messages": messages,
        "refresh_200k_ms": round(200_000 * 1000 * refreshed["seconds"] / refreshed["people"]),
    }


def _fill(dsn: str, people: int) -> None:
    with connect(dsn) as conn:
        list(SEED.ensure_month(conn, month=MONTH))
        SEED.fill_people(conn, entity=ENTITY, people=people)
        for number in range(CAMPAIGNS):
            campaign_id = SEED.add_campaign(
                conn, entity=ENTITY, name=f"Campaign {number}", month=MONTH, target=people
            )
            SEED.fill_campaign(conn, month=MONTH, campaign_id=campaign_id, entity=ENTITY, sent_at=NOW)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("vacuum (analyze)")


def _measure(
    conn: psycopg.Connection[Any], campaign_id: int, repeats: int
) -> tuple[str, float, dict[str, float]]:
    """The slowest page that shows figures, its p95, and the p95 of every page."""
    figures: dict[str, Callable[[], object]] = {
        "campaigns": lambda: campaigns(conn, ENTITY),
        "campaign": lambda: funnel(conn, campaign_id),
    }
    lists: dict[str, Callable[[], object]] = {
        "people": lambda: recipients(conn, campaign_id, Filters()),
        "people who failed": lambda: recipients(conn, campaign_id, Filters(figure="failed")),
        "people uncertain": lambda: recipients(conn, campaign_id, Filters(figure="uncertain")),
        "people who opted out": lambda: recipients(conn, campaign_id, Filters(figure="opted_out")),
        "opt-ins": lambda: optins(conn, ENTITY, since=NOW, now=NOW),
    }
    pages = {name: _p95(work, repeats) for name, work in {**figures, **lists}.items()}
    slowest = max(figures, key=pages.__getitem__)
    return slowest, pages[slowest], pages


def _from_raw_rows(conn: psycopg.Connection[Any], campaign_id: int) -> dict[str, Callable[[], object]]:
    def every_campaign() -> None:
        for row in campaigns(conn, ENTITY):
            SQL.count_states(conn, month=MONTH, campaign_id=row["id"])

    return {"campaigns": every_campaign, "campaign": lambda: count(conn, campaign_id)}


def _p95(work: Callable[[], object], repeats: int) -> float:
    work()
    return round(statistics.quantiles([_milliseconds(work) for _ in range(repeats)], n=20)[-1], 2)


def _milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000
