"""A connection that is opened again after it broke: a sender outlives a restart of the database."""

from __future__ import annotations

from typing import Any

import psycopg

from include.database import DatabaseUnavailable, connect_async

# What a database that went away says, in the middle of a statement or when connecting.
AWAY = (psycopg.OperationalError, psycopg.InterfaceError, DatabaseUnavailable)


class Reconnecting:
    """At most one open connection, with autocommit. Whoever sees one of `AWAY` calls `drop` and tries again later."""

    def __init__(self, dsn: str, *, application: str) -> None:
        self._dsn = dsn
        self._application = application
        self._connection: psycopg.AsyncConnection[Any] | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None

    async def get(self) -> psycopg.AsyncConnection[Any]:
        """The connection, opened if there is none. Raises DatabaseUnavailable."""
        if self._connection is None:
            connection = await connect_async(self._dsn, application=self._application)
            await connection.set_autocommit(True)
            self._connection = connection
        return self._connection

    async def drop(self) -> None:
        """Close what is open, if anything is."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
