"""Pull CM.com's message log: what the webhooks missed, what became of uncertain messages, what each one cost."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, Literal

import psycopg

from include.campaigns import reference as references
from include.database import connect, named_sql, require_current
from include.entities.models import Entity
from include.inbound import from_log_row, record_inbound
from include.inbound.answers import is_answer
from include.message_log.events import Applied, StatusEvent, commit_events
from include.message_log.rows import LogRow, MessageLog, events_of
from include.message_log.windows import Window, again, regular, split

log = logging.getLogger(__name__)
SQL = named_sql(__file__)
Direction = Literal["out", "in"]
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
    """What a pull found. `rows` are of messages sent, `foreign` of those that we never sent.

    `unreadable`: rows with a status that nobody documents. `missing`: accepted messages of ours that the log has not
    shown an hour later. `uncertain`: still without any answer. `confirmed`: people now known to be on WhatsApp.
    """

    windows: int = 0
    rows: int = 0
    foreign: int = 0
    unreadable: int = 0
    missing: int = 0
    uncertain: int = 0
    confirmed: int = 0
    statuses: Applied = field(default_factory=Applied)
    inbound: Counter[str] = field(default_factory=Counter)

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
    shared_with: Sequence[Entity] = (),
    suppression_key: bytes | None = None,
) -> LogResult:
    """Read the log from the watermark on, and every six hours the days that still have open messages.

    A pull that breaks off continues from its last whole window; rows that were read before change nothing.
    `lookback` counts for the first pull. `shared_with`: other entities that send through the same integration.
    `suppression_key`: to suppress a number that we do not hold and that says stop. Raises what `client` raises,
    DatabaseUnavailable, SchemaOutOfDate.
    """
    with connect(dsn, application="whatsapp message log") as conn:
        require_current(conn)
        reader = _Reader(conn, client, (entity, *shared_with), now, suppression_key)
        sent = regular(now=now, watermark=reader.watermark("out"), lookback=lookback)
        received = regular(now=now, watermark=reader.watermark("in"), lookback=lookback)
        revisit = reader.revisit_is_due()
        if revisit:
            sent += again(reader.open_days(), before=sent[0].start)
        conn.commit()
        reader.read(sent, received)
        if revisit:
            reader.record_revisit()
    log.info("Message log of %s: %s", entity.name, reader.result.as_counts())
    return reader.result


def backfill(
    entity: Entity,
    client: MessageLog,
    *,
    dsn: str,
    now: datetime,
    start: datetime,
    end: datetime,
    shared_with: Sequence[Entity] = (),
    suppression_key: bytes | None = None,
) -> LogResult:
    """Read the log between two moments again, whatever was read before. Else as `pull`.

    The next `pull` goes on where the last one ended, as if this had not been.
    """
    with connect(dsn, application="whatsapp message log backfill") as conn:
        require_current(conn)
        conn.commit()
        reader = _Reader(conn, client, (entity, *shared_with), now, suppression_key, moves_watermark=False)
        windows = split(start, min(end, now))
        reader.read(windows, windows)
    log.info("Message log of %s, again: %s", entity.name, reader.result.as_counts())
    return reader.result


@dataclass(slots=True)
class _Reader:
    """One pull under way. Every chunk of rows is a transaction; a window is noted when it was read in full."""

    conn: psycopg.Connection[Any]
    client: MessageLog
    entities: tuple[Entity, ...]
    now: datetime
    suppression_key: bytes | None
    moves_watermark: bool = True
    result: LogResult = field(default_factory=LogResult)

    @property
    def _entity(self) -> str:
        return self.entities[0].name

    def watermark(self, direction: Direction) -> datetime | None:
        found: datetime | None = SQL.watermark(self.conn, entity=self._entity, direction=direction)
        return found

    def revisit_is_due(self) -> bool:
        last = SQL.last_revisit(self.conn, name=f"log_revisit.{self._entity}")
        return last is None or last <= self.now - REVISIT_EVERY

    def record_revisit(self) -> None:
        SQL.record_revisit(self.conn, name=f"log_revisit.{self._entity}", now=self.now)
        self.conn.commit()

    def open_days(self) -> list[date]:
        rows = SQL.open_days(self.conn, entity=self._entity, since=self.now - LIFETIME)
        return [row["day"] for row in rows]

    def read(self, sent: Sequence[Window], received: Sequence[Window]) -> None:
        for window in sent:
            self._read(window, "out", self._apply)
        for window in received:
            self._read(window, "in", self._record)
        since = min(window.start for window in sent)
        books = SQL.books(self.conn, entity=self._entity, since=since, until=self.now - GRACE)
        self.result.missing, self.result.uncertain = books["missing"], books["uncertain"]
        for entity in self.entities:
            self.result.confirmed += SQL.confirm_reachable(self.conn, entity=entity.name, since=since)
        self.conn.commit()

    def _read(self, window: Window, direction: Direction, take: Callable[[list[LogRow]], None]) -> None:
        rows = iter(self.client.iter_transactions(window.start, window.end, direction))
        count = 0
        # The next rows are fetched and read while the database takes the last ones.
        with ThreadPoolExecutor(1, thread_name_prefix="message-log") as pool:
            taken: Future[None] | None = None
            while chunk := list(islice(rows, CHUNK)):
                count += len(chunk)
                if taken is not None:
                    taken.result()
                taken = pool.submit(take, chunk)
            if taken is not None:
                taken.result()
        if self.moves_watermark:
            SQL.record_window(
                self.conn,
                entity=self._entity,
                direction=direction,
                from_time=window.start,
                to_time=window.end,
                rows=count,
                now=self.now,
            )
        self.conn.commit()
        self.result.windows += 1
        self.result.rows += count if direction == "out" else 0

    def _apply(self, rows: list[LogRow]) -> None:
        events = list(self._events(rows))
        entities = [entity.name for entity in self.entities]
        self.result.statuses += commit_events(self.conn, events, entities=entities, now=self.now)

    def _events(self, rows: list[LogRow]) -> Iterator[StatusEvent]:
        for row in rows:
            events = events_of(row, now=self.now)
            if not events:
                self.result.unreadable += 1
            if references.parse(row.reference) is None and not is_answer(row.reference):
                self.result.foreign += 1
                if self.result.foreign > STRANGERS_LISTED:
                    continue
            yield from events

    def _record(self, rows: list[LogRow]) -> None:
        for row in rows:
            message = from_log_row(
                sender=row.sender,
                occurred_at=row.created or self.now,
                text=row.text,
                reference=row.reference,
            )
            if message is None:
                self.result.unreadable += 1
                continue
            with self.conn.transaction():
                self.result.inbound += record_inbound(
                    self.conn, [message], entities=self.entities, suppression_key=self.suppression_key
                )
