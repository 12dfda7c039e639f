"""One thread that commits what the webhook received: whatever arrived while the last commit ran is the next batch.

So a commit is shared by as many requests as there are, the delay is that of one or two commits, and the thread can use
the same functions as the message log's pull.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.errors import DeadlockDetected, SerializationFailure

from include.database import connect, named_sql, require_current
from include.entities.models import Entity
from include.inbound import record_inbound
from include.inbound.preferences import record_preferences
from include.links import record_clicks
from include.message_log.events import StatusEvent, apply_events, is_one_statement
from include.message_log.redact import redact
from include.webhooks.posts import Aside, Post, Pushed

log = logging.getLogger(__name__)
SQL = named_sql(__file__)
# Rows waiting, at most: beyond it senders are told to come back. About 50 MB, and five seconds of work.
LIMIT = 50_000
BATCH = 2_000
SECONDS_TO_COMMIT = 20
ATTEMPTS = 5
# About the values of a post and not about the state of the database: another attempt ends in the same way.
NEVER = (psycopg.DataError, psycopg.IntegrityError, ValueError, OverflowError)


class Busy(Exception):
    """Too much is waiting; the same post will be taken later."""


class _Waiting(NamedTuple):
    post: Post
    loop: asyncio.AbstractEventLoop
    taken: asyncio.Future[bool]


class Writer:
    """Takes posts from any number of event loops; the thread starts with the first one."""

    def __init__(
        self, dsn: str, *, load_entity: Callable[[str], Entity], suppression_key: bytes | None
    ) -> None:
        self._dsn = dsn
        self._load_entity = load_entity
        self._suppression_key = suppression_key
        self._entities: dict[str, Entity] = {}
        self._queue: deque[_Waiting] = deque()
        self._rows = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._conn: psycopg.Connection[Any] | None = None

    def submit(self, post: Post) -> asyncio.Future[bool]:
        """Queue a post.

        The future is true once it is committed, false when the database did not take it. Raises Busy.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        with self._changed:
            if self._stopping or (self._rows and self._rows + post.size > LIMIT):
                raise Busy
            self._rows += post.size
            self._queue.append(_Waiting(post, loop, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="webhook-writer", daemon=True)
                self._thread.start()
            self._changed.notify()
        return future

    def stop(self) -> None:
        """Commit what is waiting and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def entities(self, names: Sequence[str]) -> list[Entity]:
        """The entities by name, read once. Raises EntityProblems."""
        for name in names:
            if name not in self._entities:
                self._entities[name] = self._load_entity(name)
        return [self._entities[name] for name in names]

    def _run(self) -> None:
        while batch := self._next_batch():
            taken = self._commit([waiting.post for waiting in batch])
            for loop in {waiting.loop for waiting in batch}:
                mine = [(each.taken, ok) for each, ok in zip(batch, taken, strict=True) if each.loop is loop]
                try:
                    loop.call_soon_threadsafe(_resolve, mine)
                except RuntimeError:
                    log.warning("%d requests ended before their answer was ready", len(mine))
        self._disconnect()

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        rows = 0
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            while self._queue and (not batch or rows + self._queue[0].post.size <= BATCH):
                batch.append(self._queue.popleft())
                rows += batch[-1].post.size
            self._rows -= rows
        return batch

    def _commit(self, posts: list[Post]) -> list[bool]:
        """Commit posts together; where one of them can never be taken, one by one, and set that aside.

        Errors are logged by their class alone: their text can hold values of the statement.
        """
        try:
            self._write(posts)
        except NEVER as error:
            if len(posts) > 1:
                return [ok for post in posts for ok in self._commit([post])]
            log.warning("A post can never be taken and is set aside: %s", type(error).__name__)
            return [self._set_aside(posts[0], type(error).__name__)]
        except Exception as error:  # noqa: BLE001  whatever it is, nothing is acknowledged and the sender repeats
            self._disconnect()
            log.warning("%d posts were not taken and will be repeated: %s", len(posts), type(error).__name__)
            return [False] * len(posts)
        return [True] * len(posts)

    def _set_aside(self, post: Post, error: str) -> bool:
        if not post.entities:
            return False  # clicks: nobody repeats them
        named = [status.reference for status in post.statuses]
        kept = [Aside(f"refused_{error}", redact(reference)) for reference in named] or [
            Aside(f"refused_{error}")
        ]
        try:
            self._write([Post(post.entities, asides=kept)])
        except Exception:  # noqa: BLE001  as above
            self._disconnect()
            return False
        return True

    def _write(self, posts: list[Post]) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            conn = self._connected()
            try:
                # Nearly always one statement does it all: without BEGIN and COMMIT the thread waits for the interpreter
                # once instead of three times a batch, while PostgreSQL has nothing to do.
                with nullcontext() if _are_one_statement(posts) else conn.transaction():
                    for names in {post.entities for post in posts}:
                        self._write_of(conn, names, [post for post in posts if post.entities == names])
            except (DeadlockDetected, SerializationFailure):
                if attempt == ATTEMPTS:
                    raise
                time.sleep(0.05 * attempt)
            else:
                return

    def _write_of(self, conn: psycopg.Connection[Any], names: tuple[str, ...], posts: list[Post]) -> None:
        statuses: list[StatusEvent] = [status for post in posts for status in post.statuses]
        if statuses:
            apply_events(conn, statuses, entities=names, now=datetime.now(UTC))
        messages = [message for post in posts for message in post.messages]
        if messages:
            entities = self.entities(names)
            record_inbound(conn, messages, entities=entities, suppression_key=self._suppression_key)
        for source in sorted({record.source for post in posts for record in post.records}):
            records = [record for post in posts for record in post.records if record.source == source]
            SQL.push(conn, entity=names[0], source=source, records=_json(records), now=datetime.now(UTC))
        preferences = [preference for post in posts for preference in post.preferences]
        if preferences:
            record_preferences(conn, preferences, entities=names)
        clicks = [click for post in posts for click in post.clicks]
        if clicks:
            record_clicks(conn, clicks)
        for post in posts:
            for aside in post.asides:
                SQL.set_aside(conn, entity=names[0], reason=aside.reason, body=aside.body)

    def _connected(self) -> psycopg.Connection[Any]:
        if self._conn is None or self._conn.closed:
            # A network that goes silent is noticed; without it a commit would wait for a quarter of an hour.
            dsn = make_conninfo(self._dsn, tcp_user_timeout=int(1000 * SECONDS_TO_COMMIT))
            conn = connect(dsn, application="whatsapp webhook")
            conn.autocommit = True
            try:
                conn.execute(f"set statement_timeout = '{SECONDS_TO_COMMIT}s'")
                require_current(conn)
            except BaseException:
                conn.close()
                raise
            self._conn = conn
        return self._conn

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def _are_one_statement(posts: list[Post]) -> bool:
    """Whether posts hold nothing but statuses for the same entities, of which none entails more than its row."""
    entities = posts[0].entities
    return all(
        post.size == len(post.statuses)
        and post.entities == entities
        and all(is_one_statement(status) for status in post.statuses)
        for post in posts
    )


def _json(records: list[Pushed]) -> str:
    rows = [{"digest": each.digest, "record": msgspec.Raw(each.record.encode())} for each in records]
    return msgspec.json.encode(rows).decode()


def _resolve(answers: list[tuple[asyncio.Future[bool], bool]]) -> None:
    for future, ok in answers:
        if not future.done():
            future.set_result(ok)
