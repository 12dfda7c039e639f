"""Batches of messages to CM.com's gateway, at speed, with one honest outcome for each request.

aiohttp, because one core posts 22 times as many requests with it as with httpx and 20 times as many as with
requests (design, section 7).
"""

from __future__ import annotations

import mimetypes
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from types import SimpleNamespace, TracebackType
from typing import Any, Final, Literal, Protocol, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec

from cm_com.delivery import Delivery
from cm_com.settings import CmComSettings
from cm_com.wire.answers import identify, read_answer
from cm_com.wire.messages import (
    MESSAGE_PATH,
    TOKEN_HEADER,
    Button,
    Media,
    TemplateMessage,
    Text,
    message_dict,
    request_body,
    text_dict,
)

USER_AGENT: Final = "airflow-whatsapp-campaigns"
_KEEPALIVE_SECONDS = 4.0
"""An idle connection is dropped before common servers drop it (uvicorn after 5 s, nginx after 75 s): one
closed by the server while the next request is being written leaves that request's outcome unknown."""


class Outgoing(Protocol):
    """What :meth:`CmComMessenger.encode` takes: one template message as an engine has it, whoever defines it.

    ``phone`` in E.164; ``variables``: the body's texts; ``payloads``: the quick replies', each with its
    index; ``url_parts``: what fills the variable of a URL button, each with its index.
    """

    @property
    def phone(self) -> str: ...
    @property
    def reference(self) -> str: ...
    @property
    def template(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def variables(self) -> Sequence[str]: ...
    @property
    def payloads(self) -> Sequence[tuple[int, str]]: ...
    @property
    def url_parts(self) -> Sequence[tuple[int, str]]: ...
    @property
    def fallback_text(self) -> str: ...
    @property
    def groupings(self) -> Sequence[str]: ...
    @property
    def header_media(self) -> tuple[Literal["image", "document", "video"], str] | None: ...


class CmComMessenger:
    """Sends batches; use it as ``async with``. One session, at most ``connections`` requests at a time.

    ``read_timeout`` is how long CM.com may be silent after a request before its outcome counts as unknown.
    Times are in seconds. Nothing is ever sent twice by the messenger itself: aiohttp repeats idempotent
    methods on a broken kept-alive connection, POST is none (aiohttp 3.14, ``client.IDEMPOTENT_METHODS``),
    and redirects are not followed.
    """

    def __init__(
        self,
        settings: CmComSettings,
        *,
        batch_size: int | None = None,
        connections: int = 32,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
    ) -> None:
        self.batch_size = batch_size or settings.batch_size
        self.messages_per_second = settings.messages_per_second
        self._settings = settings
        self._connections = connections
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_connected)
        trace.on_connection_create_end.append(_note_connected)
        trace.on_request_chunk_sent.append(_note_left)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=_KEEPALIVE_SECONDS),
            # `connect` also bounds the wait for a free connection, `total` bounds a body that trickles in.
            timeout=aiohttp.ClientTimeout(
                total=2 * self._connect_timeout + 2 * self._read_timeout,
                connect=2 * self._connect_timeout,
                sock_connect=self._connect_timeout,
                sock_read=self._read_timeout,
            ),
            headers={
                TOKEN_HEADER: self._settings.token,
                "Content-Type": "application/json",
                "User-Agent": USER_AGENT,
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
            # Not trust_env: that would also send a password from ~/.netrc.
            proxy=_proxy_for(self._settings.gateway_url),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def encode(self, message: Outgoing) -> bytes:
        """One message as the JSON that :meth:`send` takes, from the connection's sender number.

        :raises ValueError: CM.com could not take it; the message names the field and quotes nothing.
        """
        wire = message_dict(
            TemplateMessage(
                to=message.phone,
                sender=self._settings.sender or "",
                reference=message.reference,
                namespace=message.namespace,
                template=message.template,
                language=message.language,
                content=message.fallback_text,
                body=[Text(text) for text in message.variables],
                buttons=[
                    *(
                        Button(index=index, kind="quick_reply", value=value)
                        for index, value in message.payloads
                    ),
                    *(Button(index=index, kind="url", value=value) for index, value in message.url_parts),
                ],
                groupings=message.groupings,
                header=_media(*message.header_media) if message.header_media else None,
            )
        )
        return msgspec.json.encode(wire)

    def encode_text(self, phone: str, text: str, reference: str, groupings: Sequence[str]) -> bytes:
        """A free text to one person as the JSON that :meth:`send` takes, from the connection's sender number.

        :raises ValueError: CM.com could not take it; the message names the field and quotes nothing.
        """
        sender = self._settings.sender or ""
        return msgspec.json.encode(
            text_dict(to=phone, sender=sender, reference=reference, text=text, groupings=groupings)
        )

    async def send(self, messages: Sequence[Mapping[str, Any] | bytes]) -> Delivery:
        """Post one batch. Each message is a ``msg`` object of one recipient, as a mapping or as its JSON.

        Transport failures are outcomes, not exceptions. If the call is cancelled, the outcome is unknown.

        :raises ValueError: no message, more than ``batch_size``, or an item without exactly one recipient.
            Nothing was sent.
        """
        if not 0 < len(messages) <= self.batch_size:
            raise ValueError(f"A batch has 1 to {self.batch_size} messages, not {len(messages)}.")
        sent = identify(messages)
        seen = SimpleNamespace(connected=False, left_at=None)
        try:
            status, retry_after, body = await self._post(request_body(messages), seen)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # Only without a connection is it certain that no byte left. Everything after that counts as
            # unknown, even an error while writing: a part may have arrived, and CM.com takes valid parts.
            outcome = "unknown" if seen.connected else "not_sent"
            return Delivery(outcome=outcome, cause=_name(error), left_at=seen.left_at)  # type: ignore[arg-type]
        delivery = read_answer(status=status, body=body, retry_after=retry_after, sent=sent)
        return replace(delivery, left_at=seen.left_at)

    async def _post(self, body: bytes, seen: SimpleNamespace) -> tuple[int, str | None, bytes]:
        if self._session is None:
            raise RuntimeError("The messenger is not open: use `async with messenger:`.")
        async with self._session.post(
            self._settings.gateway_url + MESSAGE_PATH,
            data=body,
            allow_redirects=False,
            trace_request_ctx=seen,
        ) as response:
            return response.status, response.headers.get("Retry-After"), await response.read()


async def _note_connected(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.connected = True


async def _note_left(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.left_at = time.monotonic()


def _proxy_for(url: str) -> str | None:
    """The environment's proxy for a URL (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), None without one."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def _media(kind: Literal["image", "document", "video"], url: str) -> Media:
    """A header's media from its address: CM.com wants a name with the suffix, and a MIME type."""
    name = PurePosixPath(urlsplit(url).path).name
    mime_type = mimetypes.guess_type(name)[0]
    if not name or mime_type is None:
        raise ValueError(
            "The header's address does not end in a file name with a known suffix, such as sale.png."
        )
    return Media(kind=kind, url=url, mime_type=mime_type, name=name)


def _name(error: BaseException) -> str:
    """The error's kind without its text, which may quote what was sent or answered."""
    cause = error.__cause__ or error.__context__
    name = type(error).__name__
    return f"{name} ({type(cause).__name__})" if isinstance(cause, OSError) else name
