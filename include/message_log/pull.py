"""Pull CM.com's message log: what the webhooks missed, what became of uncertain messages, what each one cost."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal

import psycopg

from include.campaigns import reference as references
from include.database import connect, named_sql, require_current
from include.entities.models import Entity
from include.message_log.events import Applied, StatusEvent, commit_events
from include.message_log.rows import LogRow, MessageLog, events_of
from include.message_log.windows import Window, again, regular, split

log = logging.getLogger(__name__)
SQL = named_sql(__file__)
CHUNK = 5_000
# Meta keeps trying for 30 days; a day in which messages still wait for their end is read again, this often.
LIFETIME = timedelta(days=30)
REVISIT_EVERY = timedelta(hours=6)
# A message that the log does not show this long after it was accepted is counted as missing from it.
GRACE = timedelta(hours=1)
# Of messages that others send through the account, this many a pull are listed; all are counted.
STRANGERS_LISTED = 1_000


@dataclass(slots=True)
class LogResult:
    """What a pull found. `foreign` rows are messages we never sent; `unreadable` rows have a status nobody documents.

    `missing`: accepted messages of ours that the log has not shown an hour later. `uncertain`: still without any answer.
    """

    windows: int = 0
    rows: int = 0
    foreign: int = 0
    unreadable: int = 0
    missing: int = 0
    uncertain: int = 0
    statuses: Applied = field(default_factory=Applied)

    def as_counts(self) -> dict[str, Any]:
        """Plain JSON for an XCom: counts only."""
        return asdict(self)


def pull(
    entity: Entity,
    client: MessageLog,
    *,
    dsn: str,
    now: datetime,
    lookback: timedelta = timedelta(days=2),
    shared_with: Sequence[str] = (),
) -> LogResult:
    """Read the log from the watermark on, and every six hours the days that still have open messages.

    A pull that breaks off continues from its last whole window; rows that were read before change nothing. `lookback` counts
    for the first pull. `shared_with`: other entities that send through the same integration. Raises what `client` raises,
    DatabaseUnavailable, SchemaOutOfDate.
    """
    with connect(dsn, application="whatsapp message log") as conn:
        require_current(conn)
        watermark = SQL.watermark(conn, entity=entity.name, direction="out")
        newest = regular(now=now, watermark=watermark, lookback=lookback)
        setting = f"log_revisit.{entity.name}"
        revisited = SQL.last_revisit(conn, name=setting)
        older: list[Window] = []
        if watermark is not None and (revisited is None or revisited <= now - REVISIT_EVERY):
            days = [row["day"] for row in SQL.open_days(conn, entity=entity.name, since=now - LIFETIME)]
            older = again(days, before=newest[0].start)
        conn.commit()
        result = _read(conn, entity, client, newest + older, now=now, shared_with=shared_with)
        SQL.record_revisit(conn, name=setting, now=now)
        conn.commit()
    return result


def backfill(
    entity: Entity,
    client: MessageLog,
    *,
    dsn: str,
    now: datetime,
    start: datetime,
    end: datetime,
    shared_with: Sequence[str] = (),
) -> LogResult:
    """Read the log between two moments again, whatever was read before. Raises as `pull`."""
    with connect(dsn, application="whatsapp message log backfill") as conn:
        require_current(conn)
        conn.commit()
        return _read(conn, entity, client, split(start, min(end, now)), now=now, shared_with=shared_with)


def _read(
    conn: psycopg.Connection[Any],
    entity: Entity,
    client: MessageLog,
    windows: Sequence[Window],
    *,
    now: datetime,
    shared_with: Sequence[str],
) -> LogResult:
    result = LogResult()
    entities = [entity.name, *shared_with]
    for window in windows:
        rows_before = result.rows
        for rows in _chunks(client, window, "out"):
            result.rows += len(rows)
            events = list(_events(rows, result, now))
            result.statuses += commit_events(conn, events, entities=entities, now=now)
        SQL.record_window(
            conn,
            entity=entity.name,
            direction="out",
            from_time=window.start,
            to_time=window.end,
            rows=result.rows - rows_before,
            now=now,
        )
        conn.commit()
        result.windows += 1
    if windows:
        start, until = min(window.start for window in windows), now - GRACE
        books = SQL.books(conn, entity=entity.name, since=start, until=until)
        result.missing, result.uncertain = books["missing"], books["uncertain"]
    log.info("Message log of %s: %s", entity.name, result.as_counts())
    return result


def _events(rows: Sequence[LogRow], result: LogResult, now: datetime) -> Iterator[StatusEvent]:
    for row in rows:
        events = events_of(row, now=now)
        if not events:
            result.unreadable += 1
        if references.parse(row.reference) is None:
            result.foreign += 1
            if result.foreign > STRANGERS_LISTED:
                continue
        yield from events


def _chunks(client: MessageLog, window: Window, direction: Literal["out", "in"]) -> Iterator[list[LogRow]]:
    rows = iter(client.iter_transactions(window.start, window.end, direction))
    while chunk := list(islice(rows, CHUNK)):
        yield chunk
