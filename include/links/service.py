"""`GET /l/<token>`: count the fetch and redirect to the target that was stored with the campaign, and nowhere else.

A token that we have not made is answered without asking the database. A target is read once in a process; after that
people get where they want also while the database is away, and only the count is lost.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import psycopg

from include.database import DatabaseUnavailable, SchemaOutOfDate, connect, require_current
from include.links.clicks import Click
from include.links.robots import is_robot
from include.links.store import SQL
from include.links.tokens import LinkTokens

log = logging.getLogger(__name__)
PATH = "l"
# A person waits: a commit takes some 10 ms, and whoever has waited this long goes on before it is done.
PATIENCE = 0.5
SECONDS_TO_READ = 5
_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-robots-tag", b"noindex, nofollow"),
    (b"x-content-type-options", b"nosniff"),
]
_PLAIN = (b"content-type", b"text/plain; charset=utf-8")
_NOT_KNOWN = b"This link does not exist."
_LATER = b"This link cannot be opened just now. Please try again in a minute."


class LinkService:
    """Answers fetches of links. `count` queues a click; what it gives is done with its commit, None is "no room"."""

    def __init__(
        self, dsn: str, tokens: LinkTokens, count: Callable[[Click], asyncio.Future[bool] | None]
    ) -> None:
        self._dsn = dsn
        self._tokens = tokens
        self._count = count
        self._targets: dict[int, bytes] = {}
        self._reading = threading.Lock()

    async def answer(
        self, token: str, scope: MutableMapping[str, Any], send: Callable[..., Awaitable[None]]
    ) -> None:
        """Answer one request: 302, or 404 for what is no link of ours, 405, 503 while nothing can be known."""
        method = scope["method"]
        if method not in ("GET", "HEAD"):
            return await _respond(send, 405, [(b"allow", b"GET, HEAD")], b"", method)
        ids = self._tokens.read(token)
        if ids is None:
            return await _respond(send, 404, [_PLAIN], _NOT_KNOWN, method)
        link_id, person = ids
        try:
            target = self._targets.get(link_id) or await asyncio.to_thread(self._read, link_id)
        except (DatabaseUnavailable, SchemaOutOfDate, psycopg.Error) as error:
            log.warning("A link's target could not be read: %s", type(error).__name__)
            return await _respond(send, 503, [_PLAIN, (b"retry-after", b"60")], _LATER, method)
        if target is None:
            return await _respond(send, 404, [_PLAIN], _NOT_KNOWN, method)
        await self._counted(Click(link_id, person, datetime.now(UTC), is_robot(method, scope["headers"])))
        return await _respond(send, 302, [(b"location", target)], b"", method)

    async def _counted(self, click: Click) -> None:
        committed = self._count(click)
        if committed is None:
            log.warning("A click was not counted: too much is waiting for the database")
        else:
            await asyncio.wait([committed], timeout=PATIENCE)

    def _read(self, link_id: int) -> bytes | None:
        # One at a time: when a campaign starts, its first thousand clicks ask for the same few targets.
        with self._reading:
            if link_id not in self._targets:
                with connect(self._dsn, application="whatsapp links") as conn:
                    conn.execute(f"set statement_timeout = '{SECONDS_TO_READ}s'")
                    require_current(conn)
                    target = SQL.target(conn, link_id=link_id)
                if target is not None:
                    self._targets[link_id] = target.encode("ascii")
            return self._targets.get(link_id)


async def _respond(
    send: Callable[..., Awaitable[None]],
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    method: str,
) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*_HEADERS, *headers, length]})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
