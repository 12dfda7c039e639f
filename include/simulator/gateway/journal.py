"""Everything the simulator must not forget, in one SQLite file (or a private temporary one).

Rows are collected while requests are handled and written together before any of those requests is answered,
so that a `kill -9` of the simulator loses nothing it has acknowledged. `synchronous=OFF` is enough for that:
the operating system keeps what was written by a killed process; only a power cut would lose it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS request (
    id INTEGER PRIMARY KEY, arrived REAL, account TEXT, status INTEGER, outcome TEXT);
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, request INTEGER, position INTEGER, arrived REAL, account TEXT, reference TEXT,
    recipient TEXT, customgrouping TEXT, code INTEGER, failure TEXT, channel INTEGER, sent BLOB);
CREATE TABLE IF NOT EXISTS push (message INTEGER, code INTEGER, at REAL);
CREATE TABLE IF NOT EXISTS inbound (
    id INTEGER PRIMARY KEY, at REAL, account TEXT, sender TEXT, recipient TEXT, text TEXT, payload TEXT,
    reference TEXT, groupings TEXT, message INTEGER, stop INTEGER, pushed INTEGER);
"""
_TABLES = {"request": 5, "message": 12, "push": 3, "inbound": 12}
_INSERT = {
    table: f"INSERT INTO {table} VALUES ({', '.join('?' * width)})"  # noqa: S608  constants above
    for table, width in _TABLES.items()
}


class RequestRow(NamedTuple):
    """One POST of messages; `outcome` is answered, refused, throttled or the name of a fault."""

    id: int
    arrived: float
    account: str
    status: int
    outcome: str


class MessageRow(NamedTuple):
    """One message to one recipient.

    `code` is the gateway's messageErrorCode, `failure` the errorCode of a failure to come by status.
    """

    id: int
    request: int
    position: int
    arrived: float
    account: str
    reference: str | None
    recipient: str
    grouping: str
    code: int
    failure: str | None
    channel: int


class InboundRow(NamedTuple):
    """One message of a person. `message` is the id of the message it answers, 0 for none; `groupings` are
    JSON.
    """

    id: int
    at: float
    account: str
    sender: str
    recipient: str
    text: str
    payload: str
    reference: str
    groupings: str
    message: int
    stop: int
    pushed: int


_COLUMNS = ", ".join("customgrouping" if each == "grouping" else each for each in MessageRow._fields)


class Journal:
    """The rows, and the promise that `await flushed()` returns only after all rows added so far are
    written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._pending: dict[str, list[Sequence[object]]] = {table: [] for table in _TABLES}
        self._flush: asyncio.Future[None] | None = None
        self._connection: sqlite3.Connection

    def open(self) -> None:
        """Open or create the file. Raises sqlite3.DatabaseError when it is something else."""
        # An empty name is SQLite's private temporary database: in memory, spilling to a file when it grows.
        self._connection = sqlite3.connect(str(self._path or ""), isolation_level=None)
        self._connection.execute("PRAGMA page_size = 16384")
        if self._path:
            self._connection.execute("PRAGMA journal_mode = WAL")
        else:
            self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA cache_size = -65536")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        self._write()
        self._connection.close()

    def add(self, table: str, row: Sequence[object]) -> None:
        """Note one row of `table`; it is written by the next flush."""
        self._pending[table].append(row)

    def extend(self, table: str, rows: Iterable[Sequence[object]]) -> None:
        self._pending[table].extend(rows)

    async def flushed(self) -> None:
        """Wait until everything added so far is written. Requests of one turn of the event loop share one
        commit.
        """
        if self._flush is None:
            loop = asyncio.get_running_loop()
            self._flush = loop.create_future()
            loop.call_soon(self._write_and_tell)
        await asyncio.shield(self._flush)

    def last_ids(self) -> tuple[int, int, int]:
        """The highest ids of requests, messages and replies."""
        query = "SELECT (SELECT max(id) FROM request), (SELECT max(id) FROM message), (SELECT max(id) FROM inbound)"
        row = self._connection.execute(query).fetchone()
        return row[0] or 0, row[1] or 0, row[2] or 0

    def messages(self, first: int = 1, last: int | None = None) -> Iterator[MessageRow]:
        """Messages by id, from `first` to `last` inclusive."""
        self._write()
        query = f"SELECT {_COLUMNS} FROM message WHERE id BETWEEN ? AND ? ORDER BY id"  # noqa: S608  a constant
        for row in self._connection.execute(query, (first, last if last is not None else 1 << 62)):
            yield MessageRow._make(row)

    def message(self, number: int) -> MessageRow:
        """One message by its id; raises LookupError for an unknown id."""
        for row in self.messages(number, number):
            return row
        raise LookupError(number)

    def requests(self, first: int = 1, last: int | None = None) -> Iterator[RequestRow]:
        """Requests by id, from `first` to `last` inclusive."""
        self._write()
        query = "SELECT * FROM request WHERE id BETWEEN ? AND ? ORDER BY id"
        for row in self._connection.execute(query, (first, last if last is not None else 1 << 62)):
            yield RequestRow._make(row)

    def sent(self, first: int, last: int) -> dict[int, bytes]:
        """The msg objects as they arrived, by message id; b"" where they are not kept."""
        self._write()
        rows = self._connection.execute(
            "SELECT id, sent FROM message WHERE id BETWEEN ? AND ?", (first, last)
        )
        return dict(rows.fetchall())

    def inbound(self) -> list[InboundRow]:
        """Every message of a person, oldest first."""
        self._write()
        rows = self._connection.execute("SELECT * FROM inbound ORDER BY id")
        return [InboundRow._make(row) for row in rows]

    def inbound_pushed(self, number: int) -> None:
        """Note that a reply was taken by the webhook."""
        self._write()
        self._connection.execute("UPDATE inbound SET pushed = 1 WHERE id = ?", (number,))

    def pushes(self, first: int = 1, last: int | None = None) -> dict[int, list[tuple[int, float]]]:
        """(code, time) of every status taken by the webhook, by message id."""
        self._write()
        found: dict[int, list[tuple[int, float]]] = {}
        query = "SELECT message, code, at FROM push WHERE message BETWEEN ? AND ?"
        for message, code, at in self._connection.execute(
            query, (first, last if last is not None else 1 << 62)
        ):
            found.setdefault(message, []).append((code, at))
        return found

    def clear(self) -> None:
        """Forget everything."""
        for table, rows in self._pending.items():
            rows.clear()
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608  a constant's keys

    def _write_and_tell(self) -> None:
        future, self._flush = self._flush, None
        try:
            self._write()
        except sqlite3.Error as error:
            if future is not None and not future.done():
                future.set_exception(error)
            return
        if future is not None and not future.done():
            future.set_result(None)

    def _write(self) -> None:
        if not any(self._pending.values()):
            return
        self._connection.execute("BEGIN")
        for table, rows in self._pending.items():
            if rows:
                self._connection.executemany(_INSERT[table], rows)
                rows.clear()
        self._connection.execute("COMMIT")
