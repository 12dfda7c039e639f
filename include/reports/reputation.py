"""How an entity's senders stand: failures, Meta's limits and opt-outs by day, templates, and who can be reached."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import psycopg

from include.database import named_sql
from include.reports.rollup import Row

SQL = named_sql(__file__, "reputation.sql")
# It changes with every campaign and reads every person: an hour old is young enough.
COUNT_EVERY = timedelta(hours=1)


def reputation(conn: psycopg.Connection[Any], entity: str, *, since: date) -> dict[str, Any]:
    """`{"days": by connection and day, "total": their sum, "templates": their state, "connections": quality of the
    number, "reachability": people}`.
    """
    days = list(SQL.days(conn, entity=entity, since=since))
    counts = ("accepted", "delivered", "read", "failed", "undeliverable", "limited", "stopped", "opted_out")
    return {
        "days": days,
        "total": {name: sum(row[name] for row in days) for name in counts},
        "templates": list(SQL.templates(conn, entity=entity)),
        "connections": list(SQL.connections(conn, entity=entity)),
        "reachability": list(SQL.reachability(conn, entity=entity)),
    }


def refresh_reachability(
    conn: psycopg.Connection[Any], entity: str, *, now: datetime, everything: bool = False
) -> bool:
    """Count subscribed people by reachability if that is an hour ago, in the caller's transaction.

    True when they were counted.
    """
    counted: datetime | None = SQL.counted_at(conn, entity=entity)
    if not everything and counted is not None and now - counted < COUNT_EVERY:
        return False
    SQL.count_reachability(conn, entity=entity, now=now)
    return True


def day_rows(days: list[Row]) -> list[Row]:
    """For a chart: one row per day and measure, all connections together; shares 0 to 1, absent where nothing left."""
    by_day: dict[date, Row] = {}
    for row in days:
        sums = by_day.setdefault(
            row["day"], {"accepted": 0, "delivered": 0, "failed": 0, "limited": 0, "opted_out": 0}
        )
        for name in sums:
            sums[name] += row[name]
    measures = (
        ("Failed", "failed", "accepted"),
        ("Limited", "limited", "accepted"),
        ("Opted out", "opted_out", "delivered"),
    )
    return [
        {"day": f"{day}", "part": label, "share": sums[part] / sums[whole], "people": sums[part]}
        for day, sums in sorted(by_day.items())
        for label, part, whole in measures
        if sums[whole]
    ]
