"""The webhook as a raw ASGI app: `POST …/<secret>/status`, `POST …/<secret>/inbound`, and the older GET.

`GET …/l/<token>` are the links of buttons whose clicks are counted (`include.links`).

`POST …/<secret>/optin` takes the opt-ins of a source that sends them by itself; the secret says which source. Whoever
can send headers keeps it out of the address: `POST …/<entity>.<source>/optin`, the secret in `X-Webhook-Secret`.
Both of CM.com's paths take both shapes, for CM.com has a URL for each and they are easily exchanged. An answer is 200
with nothing in it, and only after the commit; 503 asks CM.com to come again (statuses for 7 days, replies for a month);
what can never be taken is set aside and answered 200, or it would be repeated for as long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from include import links
from include.entities.load import load_entity
from include.entities.models import Entity
from include.entities.problems import EntityProblems
from include.links import Click, LinkService, LinkTokens
from include.webhooks.posts import Post, read_body, read_get, read_records, unreadable
from include.webhooks.secrets import Secrets
from include.webhooks.writer import Busy, Writer

log = logging.getLogger(__name__)
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Times in a status report have no zone. CM.com's other such times are Dutch local time; nothing says it of these.
CM_TIME_ZONE = "Europe/Amsterdam"
LONGEST_BODY = 1_000_000
SECONDS_TO_SEND = 10.0
KINDS = ("status", "inbound")
SECRET_HEADER = b"x-webhook-secret"
_EMPTY = [(b"content-length", b"0")]
_LATER = [(b"content-length", b"0"), (b"retry-after", b"5")]
_CLOSE = [(b"content-length", b"0"), (b"connection", b"close")]


class Webhook:
    """The ASGI app. Mount it under any prefix, or serve it alone; `stop` commits what is waiting."""

    def __init__(
        self, secrets: Secrets, writer: Writer, zone: ZoneInfo, links: LinkService | None = None
    ) -> None:
        self._secrets = secrets
        self._writer = writer
        self._zone = zone
        self._links = links

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the server's start and end."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    def stop(self) -> None:
        """Commit what is waiting; later requests are told to come again."""
        self._writer.stop()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Only the last two parts of the path count, so the app need not know where it is mounted.
        _, secret, kind = ("//" + scope["path"]).rsplit("/", 2)
        if secret == links.PATH and self._links is not None:
            return await self._links.answer(kind, scope, send)
        if kind == "health":
            return await _respond(send, 200, _EMPTY)
        read = self._reader(secret, kind, scope)
        if read is None:
            # Wrong secret, wrong path: one answer for both, before a byte of the body is read.
            return await _respond(send, 404, _CLOSE)
        if scope["method"] not in ("POST", "GET"):
            return await _respond(send, 405, _CLOSE)
        try:
            body = await _body(receive) if scope["method"] == "POST" else b""
        except TimeoutError:
            return await _respond(send, 408, _CLOSE)
        except ConnectionError:
            return None
        return await _respond(send, *await self._taken(read(body)))

    def _reader(self, secret: str, kind: str, scope: Scope) -> Callable[[bytes | None], Post] | None:
        """What makes a post of a body (None: too long), for a path that there is."""
        now, zone = datetime.now(UTC), self._zone
        entities = self._secrets.entities(secret) if kind in KINDS else ()
        source = self._source(secret, scope) if kind == "optin" else None
        names = source[:1] if source else entities
        if not names:
            return None

        def read(body: bytes | None) -> Post:
            if body is None:
                return unreadable(names, "body_too_large")
            if source:
                return read_records(body, entity=source[0], source=source[1])
            if scope["method"] == "GET":
                return read_get(scope["query_string"], entities=entities, zone=zone, now=now)
            return read_body(body, entities=entities, zone=zone, now=now)

        return read

    def _source(self, secret: str, scope: Scope) -> tuple[str, str] | None:
        """Whose opt-ins a post holds: by the secret in the path, or by one in a header beside the name in the path."""
        if found := self._secrets.source(secret):
            return found
        given = next((value for name, value in scope["headers"] if name == SECRET_HEADER), b"")
        return self._secrets.named_source(secret, given.decode("latin-1"))

    async def _taken(self, post: Post) -> tuple[int, list[tuple[bytes, bytes]]]:
        """200 once the post is committed, else 503."""
        try:
            if post.messages:
                self._writer.entities(post.entities)
            return (200, _EMPTY) if await self._writer.submit(post) else (503, _LATER)
        except EntityProblems as problems:
            log.warning("Replies wait at CM.com until the entity's files are right: %s", problems)
            return 503, _LATER
        except Busy:
            return 503, _LATER

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await asyncio.to_thread(self.stop)
        await send({"type": "lifespan.shutdown.complete"})


def build_app(
    dsn: str,
    secrets: Secrets,
    *,
    time_zone: str = CM_TIME_ZONE,
    suppression_key: bytes | None = None,
    load: Callable[[str], Entity] = load_entity,
) -> Webhook:
    """The webhook for these secrets. Opens nothing yet: the database is asked for with the first request.

    `suppression_key`: to suppress a number that we do not hold and that says stop, and to read the tokens of links:
    without it there are no links.
    """
    writer = Writer(dsn, load_entity=load, suppression_key=suppression_key)
    service = None
    if suppression_key is not None:
        service = LinkService(dsn, LinkTokens(suppression_key), lambda click: _queued(writer, click))
    return Webhook(secrets, writer, ZoneInfo(time_zone), service)


def _queued(writer: Writer, click: Click) -> asyncio.Future[bool] | None:
    try:
        return writer.submit(Post((), clicks=[click]))
    except Busy:
        return None


async def _body(receive: Receive) -> bytes | None:
    """The whole body, None when it is too long. Raises TimeoutError when it comes too slowly, ConnectionError.

    A longer body is read to its end and forgotten: a sender that is cut off sees no answer, and sends it again.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        # Nearly all of them; a timer for each would be a tenth of the work. Alone, the server keeps the time.
        body: bytes = message.get("body", b"")
        return body if len(body) <= LONGEST_BODY else None
    pieces: list[bytes] = []
    size = 0
    async with asyncio.timeout(SECONDS_TO_SEND):
        while message["type"] == "http.request":
            piece = message.get("body", b"")
            size += len(piece)
            if size > LONGEST_BODY:
                pieces.clear()
            else:
                pieces.append(piece)
            if not message.get("more_body", False):
                return b"".join(pieces) if size <= LONGEST_BODY else None
            message = await receive()
    raise ConnectionError


async def _respond(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
