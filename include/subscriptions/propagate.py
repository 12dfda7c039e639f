"""Withdrawals back to the sources that still say yes: at least once each, repeated until the source has taken it."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime
from typing import Any

import psycopg

from include.database import connect, named_sql, require_current
from include.entities import Entity, Source
from include.optins.sources import OptOut, Told, kind, teller
from include.optins.sources.own import Metered

logger = logging.getLogger(__name__)
queries = named_sql(__file__, "outbox.sql")

BATCH = 200
MOST_ATTEMPTS = 12  # with the waits of `settle` about two days


def propagate(entity: Entity, source: Source, access: Any, *, dsn: str, now: datetime) -> dict[str, int]:
    """Tell one source every opt-out that is due. `access` is what the source's kind wants.

    Returns counts: `done`, `failed` (tried again later), `later` (not its turn yet), `given_up`, and `due`, what is
    left. A batch is committed when
    the source has taken it, so a crash between the two tells it twice: the source's statement must allow that. Raises
    SourceProblem when the source as a whole cannot be told; what it had taken by then is kept.
    """
    counts: Counter[str] = Counter({"done": 0, "failed": 0, "later": 0, "given_up": 0})
    tell = teller(source)
    module = kind(source.kind)
    batch = getattr(module, "BATCH", BATCH)
    if calls := getattr(module, "BULK_CALLS", 0):
        access = Metered(access, lambda: _take_bulk_call(dsn, source, now, calls))
    with connect(dsn, application=f"propagate {source.name}") as conn:
        require_current(conn)
        while claimed := list(
            queries.claim(conn, entity=entity.name, source=source.name, now=now, most=batch)
        ):
            told = tell(
                source, access, [OptOut(row["source_record_id"], row["occurred_at"]) for row in claimed], now
            )
            counts.update(_settle(conn, claimed, told, now))
            conn.commit()
        left = queries.backlog(conn, entity=entity.name, source=source.name)
    logger.info("Told %s of %s: %s, %s left", source.name, entity.name, dict(counts), left["due"])
    return {**counts, "due": left["due"]}


def retry(entity_name: str, *, source: str | None = None, dsn: str, now: datetime) -> int:
    """Take up again what was given up, at one source or all of them; returns how many opt-outs are due now."""
    with connect(dsn, application="whatsapp optouts") as conn:
        require_current(conn)
        taken_up: int = queries.retry(conn, entity=entity_name, source=source, now=now)
        return taken_up


def backlog(conn: psycopg.Connection[Any], entity_name: str, *, now: datetime) -> list[dict[str, Any]]:
    """By source: opt-outs `due` since `oldest`, `given_up`, told in the last 24 hours, and the newest problem."""
    return list(queries.backlog_by_source(conn, entity=entity_name, now=now))


def _take_bulk_call(dsn: str, source: Source, now: datetime, most: int) -> bool:
    """Count one bulk call of the last 24 hours before it is made, whatever becomes of it."""
    table = f"{source.options.get('entity')}/{source.options.get('table')}"
    with connect(dsn, application=f"propagate {source.name}") as conn:
        queries.lock_bulk_calls(conn, connection=source.connection, target=table)
        taken: int = queries.take_bulk_call(
            conn, connection=source.connection, target=table, now=now, most=most
        )
        return taken == 1


def _settle(
    conn: psycopg.Connection[Any], claimed: list[dict[str, Any]], told: list[Told], now: datetime
) -> Counter[str]:
    finals = [
        not each.later and (each.final or row["attempts"] + 1 >= MOST_ATTEMPTS)
        for row, each in zip(claimed, told, strict=True)
    ]
    queries.settle(
        conn,
        ids=[row["id"] for row in claimed],
        problems=[each.problem for each in told],
        finals=finals,
        laters=[each.later for each in told],
        now=now,
    )
    return Counter(
        "later" if each.later else "done" if each.problem is None else "given_up" if final else "failed"
        for each, final in zip(told, finals, strict=True)
    )
