"""What came back for an entity, for the pages: the message log's books, and the replies and where they went."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from include.database import named_sql
from include.reports.rollup import Row

SQL = named_sql(__file__, "returns.sql")


def log_books(
    conn: psycopg.Connection[Any], entity: str, *, since: datetime, days: int = 31
) -> dict[str, list[Row]]:
    """`{"days": compared days, "windows": how far the log was read, "aside": what fits no message, "open": campaigns
    with messages of unknown fate}`.
    """
    return {
        "days": list(SQL.log_days(conn, entity=entity, most=days)),
        "windows": list(SQL.windows(conn, entity=entity)),
        "aside": list(SQL.set_aside(conn, entity=entity, since=since)),
        "open": list(SQL.open_ends(conn, entity=entity)),
    }


def replies(
    conn: psycopg.Connection[Any], entity: str, *, since: datetime, waiting: int = 50
) -> dict[str, list[Row]]:
    """`{"days": replies by day and kind, "forwards": the outbox by place, "answers": by kind and state, "media": copies
    by state, "waiting": single replies not sent on}`.
    """
    return {
        "days": _by_day(list(SQL.reply_days(conn, entity=entity, since=since))),
        "forwards": list(SQL.forwards(conn, entity=entity, since=since)),
        "answers": list(SQL.answers(conn, entity=entity, since=since)),
        "media": list(SQL.media(conn, entity=entity, since=since)),
        "waiting": list(SQL.waiting(conn, entity=entity, most=waiting)),
    }


def _by_day(rows: list[Row]) -> list[Row]:
    days: dict[Any, Row] = {}
    for row in rows:
        day = days.setdefault(row["day"], dict.fromkeys(("reply", "button", "stop", "start", "help"), 0))
        day[row["kind"]] = row["replies"]
    return [{"day": day, **kinds} for day, kinds in days.items()]
