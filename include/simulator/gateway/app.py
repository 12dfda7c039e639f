"""HTTP around the gateway: routes, faults, and answers in exactly CM.com's shapes.

aiohttp's low-level server and not a framework: a fault may have to reset the connection before the body is
read, and the answer to a request must leave only after its messages are written.
"""

from __future__ import annotations

import asyncio
import socket
import struct

import orjson
from aiohttp import web

from include.simulator.gateway import clock, wire
from include.simulator.gateway.control import Control
from include.simulator.gateway.faults import Fault, Faults
from include.simulator.gateway.gateway import Gateway, Throttled
from include.simulator.gateway.settings import Account
from include.simulator.gateway.transactions import QueryError, transactions
from include.simulator.gateway.wire import WireError

_TOKEN_HEADER = "X-CM-PRODUCTTOKEN"  # noqa: S105  a header's name
_HTML = (
    "<!DOCTYPE html>\n<html><head><title>{0} | gateway</title></head>"
    "<body><h1>Error {0}</h1><p>The web server reported an error.</p></body></html>\n"
)


class App:
    """Answers every request; `__call__` is the handler of an aiohttp server."""

    def __init__(self, *, gateway: Gateway, control: Control, faults: Faults) -> None:
        self._gateway = gateway
        self._control = control
        self._faults = faults

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. Faults never touch `/_sim/`."""
        arrived = clock.now()
        path = request.path
        if path.startswith("/_sim/"):
            return await self._control.handle(request)
        fault: Fault | None = None
        if self._faults:
            wait, fault = self._faults.meet(path)
            if wait:
                await asyncio.sleep(wait)
        if path == "/v1.0/message":
            return await self._message(request, arrived, fault)
        if fault is not None:
            return await self._fail(request, fault)
        if path.rstrip("/") in ("/v1.2/transactions", "/v1.0/transactions"):
            return await self._transactions(request)
        if path.startswith("/channels/v1/accounts/"):
            return self._templates(request)
        return web.Response(status=404, text="Not found")

    async def _message(
        self, request: web.BaseRequest, arrived: float, fault: Fault | None
    ) -> web.StreamResponse:
        gateway = self._gateway
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST"}, text="Method not allowed")
        if fault is not None and not fault.takes_messages:
            gateway.note_request(arrived, fault.status, fault.kind)
            return await self._fail(request, fault)
        body = await request.read()
        header = request.headers.get(_TOKEN_HEADER)
        try:
            messages = wire.decode(body)
            account = gateway.authenticate(header, messages)
            status, answer = gateway.submit(
                account, messages.msg or (), arrived, body, outcome=fault.kind if fault else "answered"
            )
        except WireError as error:
            status, answer = 400, wire.encode_answer(error.details, error.code, [])
            gateway.note_request(arrived, status, "refused")
        except Throttled:
            gateway.note_request(arrived, 429, "throttled")
            # Undocumented (cm_com.md 3.4): what CM.com's other APIs do.
            return web.Response(status=429, headers={"Retry-After": "1"}, text="Too many requests")
        await gateway.journal.flushed()
        if fault is not None:
            return await self._fail(request, fault)
        return web.Response(body=answer, status=status, content_type="application/json", charset="utf-8")

    async def _transactions(self, request: web.BaseRequest) -> web.StreamResponse:
        account = self._account(request)
        if account is None:
            # What a bad token gets here is unknown (cm_com.md 6.1).
            return _json({"status": 0, "message": "Unauthorized"}, self._gateway.settings.log_auth_status)
        try:
            return _json(await transactions(self._gateway, account, request.query))
        except QueryError as error:
            return _json({"status": 0, "message": str(error)}, 400)

    def _templates(self, request: web.BaseRequest) -> web.StreamResponse:
        """`GET /channels/v1/accounts/{accountId}/whatsapp/{channelId}/templates`.

        The path is known from one third-party client only and the JSON is invented (cm_com.md 2.4), see
        `TemplateRegistry.listing`.
        """
        parts = request.path.rstrip("/").split("/")
        account = self._account(request)
        if account is None:
            return _json({"message": "Unauthorized"}, 401)
        if request.method != "GET" or len(parts) != 8 or parts[5] != "whatsapp" or parts[7] != "templates":
            return _json({"message": "Not found"}, 404)
        if parts[4].lower() != account.account.lower():
            return _json({"message": "Not found"}, 404)
        return _json(self._gateway.templates.listing(account))

    def _account(self, request: web.BaseRequest) -> Account | None:
        return self._gateway.accounts.by_token(request.headers.get(_TOKEN_HEADER))

    async def _fail(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
        match fault.kind:
            case "reset_before_body":
                return _reset(request)
            case "reset_after_body" | "answer_lost":
                await request.read()
                return _reset(request)
            case "hang":
                await request.read()
                await asyncio.sleep(fault.seconds)
                return _reset(request)
        await request.read()
        match fault.kind:
            case "html":
                return web.Response(
                    status=fault.status, text=_HTML.format(fault.status), content_type="text/html"
                )
            case "malformed_json":
                return web.Response(
                    text='{"details":"Created 1 message(s)","errorCo', content_type="application/json"
                )
            case "wrong_shape":
                return _json(["unexpected", {"messages": "none"}])
            case "gateway_error":
                body = wire.encode_answer("The request was refused", fault.code, [])
                return web.Response(status=400, body=body, content_type="application/json")
        headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else None
        return web.Response(status=fault.status, headers=headers, text="Service unavailable")


def reset(transport: asyncio.Transport | None) -> None:
    """Reset a connection (RST rather than an orderly end)."""
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _reset(request: web.BaseRequest) -> web.Response:
    reset(request.transport)
    # Nobody reads it: the connection is gone, and aiohttp drops what is written to it.
    return web.Response(status=500)


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")
