"""How fast an audience is planned, against one plain INSERT … SELECT of the rows that came of it."""

from __future__ import annotations

import time
from typing import Any

from psycopg import sql

from include.campaigns.bench_stage import database, planned_campaign, subscribe
from include.database import connect

COLUMNS = (
    "month, campaign_id, subscription_id, state, reason, consent_event_id, language, variant, country, variables, "
    "wave, not_before"
)


def plan(people: int = 1_000_000, refused_percent: int = 20) -> dict[str, Any]:
    """People planned per second, from the form's values to the hash that is approved, each with the reason if left out.

    The baseline copies those rows, in one statement, into an empty table of the same definition: same partition, same
    indexes, same checks; the faster of two. The plan's time is that of the whole call, counting and hashing its rows
    included. Of the people `refused_percent` are left out, for four reasons, and a tenth are held out.
    """
    with database() as (dsn, _):
        subscribe(dsn, people, refused_percent=refused_percent)
        started = time.perf_counter()
        planned = planned_campaign(dsn, "measured", holdout_percent=10, probe_percent=2)
        seconds = time.perf_counter() - started
        copied, baseline = min((_copy(dsn, number) for number in range(2)), key=lambda found: found[1])
    return {
        "value": round(planned.target / seconds),
        "unit": "people/s",
        "baseline": round(copied / baseline),
        "ratio": round((planned.target / seconds) / (copied / baseline), 3),
        "seconds": round(seconds, 1),
        "baseline_seconds": round(baseline, 1),
        "people": planned.target,
        "planned": planned.planned,
        "excluded": planned.excluded,
    }


def _copy(dsn: str, number: int) -> tuple[int, float]:
    names = {"copied": sql.Identifier(f"copied_{number}"), "month": sql.Identifier(f"copied_{number}_month")}
    create = "create table {copied} (like campaign_message including all) partition by range (month)"
    part = "create table {month} partition of {copied} for values from (202001) to (209912)"
    insert = "insert into {copied} ({columns}) select {columns} from campaign_message"
    with connect(dsn) as conn:
        conn.execute(sql.SQL(create).format(**names))
        conn.execute(sql.SQL(part).format(**names))
        conn.commit()
        started = time.perf_counter()
        rows = conn.execute(sql.SQL(insert).format(**names, columns=sql.SQL(COLUMNS))).rowcount
        conn.commit()
        return rows, time.perf_counter() - started
