"""What the syncs of an entity did: runs, the people they left, and the records they did not take."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psycopg
from psycopg import ClientCursor

from include.database import named_sql
from include.reports.rollup import Row
from include.subscriptions import backlog

SQL = named_sql(__file__, "optins.sql")


def optins(
    conn: psycopg.Connection[Any], entity: str, *, since: datetime, now: datetime, runs: int = 30
) -> dict[str, list[Row]]:
    """The entity's syncs, in the caller's transaction.

    `{"statuses": people by status, "runs": newest pulls, "rejects": records by source and reason since `since`,
    "outbox": word of opt-outs back to the sources, "comparisons": each source as last compared with our table}`.
    """
    return {
        "statuses": list(SQL.statuses(conn, entity=entity)),
        "runs": list(SQL.runs(conn, entity=entity, most=runs)),
        "rejects": list(SQL.rejects_by_reason(conn, entity=entity, since=since)),
        "outbox": backlog(conn, entity, now=now),
        "comparisons": list(SQL.comparisons(conn, entity=entity)),
    }


def refresh_statuses(
    conn: psycopg.Connection[Any], entity: str, *, now: datetime, everything: bool = False
) -> bool:
    """Count the entity's people by status where the consent ledger has grown since; True when it was counted.

    In the caller's transaction. An event that committed after a greater number was seen is counted with the next one.
    """
    list(SQL.lock_statuses(conn, entity=entity))
    newest = SQL.newest_event(conn)
    if not everything and SQL.counted_event(conn, entity=entity) == newest:
        return False
    SQL.count_statuses(conn, entity=entity, consent_event_id=newest, now=now)
    return True


def rejects(
    conn: psycopg.Connection[Any],
    entity: str,
    *,
    source: str,
    reason: str,
    since: datetime,
    after: int = 0,
    limit: int = 50,
) -> tuple[list[Row], int | None]:
    """One page of the records not taken since a time, and the `after` of the next page (None at the end)."""
    where = {"entity": entity, "source": source, "reason": reason, "since": since, "after": after}
    rows = list(SQL.rejects(conn, **where, most=limit + 1))
    return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None


def rejects_csv(conn: psycopg.Connection[Any], entity: str, *, since: datetime) -> Iterator[bytes]:
    """A CSV of the records not taken: source, the source's own record id, reason, detail, when, run."""
    return _csv(conn, SQL.rejects_export.sql, {"entity": entity, "since": since})


def untold_csv(conn: psycopg.Connection[Any], entity: str) -> Iterator[bytes]:
    """A CSV of the opt-outs that a source has not taken yet: source, its own record id, since when, state, why."""
    return _csv(conn, SQL.untold_export.sql, {"entity": entity})


def differences_csv(conn: psycopg.Connection[Any], entity: str) -> Iterator[bytes]:
    """A CSV of the records of which a source says something else than we know, alerts first."""
    return _csv(conn, SQL.differences_export.sql, {"entity": entity})


def _csv(conn: psycopg.Connection[Any], query: str, where: dict[str, Any]) -> Iterator[bytes]:
    text = ClientCursor(conn).mogrify(query, where).rstrip("; \n")
    with (
        conn.cursor() as cursor,
        cursor.copy(f"copy ({text}) to stdout (format csv, header)".encode()) as copy,
    ):
        for chunk in copy:
            yield bytes(chunk)
