"""The `/_sim/*` routes, by which a test or a demo looks at the simulator and steers it. Answered on loopback
only.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import orjson
from aiohttp import web

from include.simulator.gateway import clock
from include.simulator.gateway.courier import VISIT, Courier
from include.simulator.gateway.fates import NAMES, state, timeline
from include.simulator.gateway.faults import Faults, read
from include.simulator.gateway.gateway import Gateway
from include.simulator.gateway.journal import MessageRow
from include.simulator.gateway.people import People, Writing
from include.simulator.gateway.settings import Account, ConfigurationError, Template, convert

_LINES = 500  # per written piece of a stream


class Control:
    """Stats, messages, truth, faults, templates, accounts, replies and reset."""

    def __init__(self, *, gateway: Gateway, people: People, courier: Courier, faults: Faults) -> None:
        self._gateway = gateway
        self._people = people
        self._courier = courier
        self._faults = faults
        # Closes the listening socket for some seconds; whoever listens puts itself here.
        self.refuse: Callable[[float], None] | None = None

        self._routes: dict[tuple[str, str], Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]] = {
            ("GET", "health"): self._health,
            ("GET", "stats"): self._stats,
            ("GET", "messages"): self._messages,
            ("GET", "truth"): self._final,
            ("GET", "inbound"): self._replies,
            ("POST", "inbound"): self._inbound,
            ("GET", "faults"): self._show_faults,
            ("POST", "faults"): self._set_faults,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "templates"): self._template,
            ("POST", "accounts"): self._account,
            ("POST", "reset"): self._reset,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request below `/_sim/`."""
        if not _loopback(request.remote):
            return _json({"error": "/_sim/ is answered on loopback only"}, 403)
        route = self._routes.get((request.method, request.path.removeprefix("/_sim/")))
        if route is None:
            return _json({"error": "no such route or method"}, 404)
        try:
            return await route(request)
        except ConfigurationError as error:
            return _json({"error": str(error)}, 400)
        except LookupError as error:
            return _json({"error": str(error)}, 404)

    async def _health(self, _: web.BaseRequest) -> web.StreamResponse:
        return _json({"status": "ok"})

    async def _stats(self, _: web.BaseRequest) -> web.StreamResponse:
        """The judge's figures, then the courier's."""
        courier = {
            "replies": self._people.count,
            "pushed": self._courier.pushed,
            "push_attempts_refused": self._courier.refused,
            "pushes_waiting": self._courier.waiting,
        }
        return _json(self._gateway.judge.stats() | courier)

    async def _final(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._stream(request, self._truth())

    async def _replies(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._stream(request, (each._asdict() for each in self._gateway.journal.inbound()))

    async def _reset(self, _: web.BaseRequest) -> web.StreamResponse:
        self._courier.clear()
        self._gateway.clear()
        self._people.clear()
        return _json({"status": "ok"})

    async def _show_faults(self, _: web.BaseRequest) -> web.StreamResponse:
        return _json({"faults": self._faults.listing()})

    async def _clear_faults(self, _: web.BaseRequest) -> web.StreamResponse:
        self._faults.clear()
        return _json({"faults": []})

    async def _set_faults(self, request: web.BaseRequest) -> web.StreamResponse:
        added = read(await _content(request), where="faults")
        self._faults.add(added)
        for fault in added:
            if fault.kind == "refuse_connections" and self.refuse is not None:
                self.refuse(fault.seconds)
        return _json({"faults": [msgspec.to_builtins(each) for each in added]})

    async def _template(self, request: web.BaseRequest) -> web.StreamResponse:
        """Register a template, or change it: fields not given keep their value. `account` is a token or an
        id.
        """
        content = await _content(request)
        if not isinstance(content, dict):
            raise ConfigurationError("template: Expected `object`")
        account = self._account_of(content.pop("account", None))
        key = (content.get("element_name"), content.get("language"))
        known = [
            each for each in self._gateway.templates.of(account) if (each.element_name, each.language) == key
        ]
        before = msgspec.to_builtins(known[0]) if known else {}
        template: Template = convert(before | content, Template, where="template")
        self._gateway.templates.register(account, template)
        return _json(msgspec.to_builtins(template))

    async def _account(self, request: web.BaseRequest) -> web.StreamResponse:
        """Add an account, or change the one of the same token: fields not given keep their value."""
        content = await _content(request)
        if not isinstance(content, dict):
            raise ConfigurationError("account: Expected `object`")
        known = (
            self._gateway.accounts.by_token(content.get("token"))
            if "token" in content
            else self._gateway.accounts.first()
        )
        before = msgspec.to_builtins(known) if known else {}
        account: Account = convert(before | content, Account, where="account")
        self._gateway.accounts.add(account)
        for template in account.templates:
            self._gateway.templates.register(account, template)
        return _json(msgspec.to_builtins(account) | {"token": ""})

    async def _inbound(self, request: web.BaseRequest) -> web.StreamResponse:
        row = self._people.write(convert(await _content(request), Writing, where="inbound"))
        self._courier.push_inbound(row)
        await self._gateway.journal.flushed()
        return _json({"id": row.id, "reference": row.reference, "stop": bool(row.stop)})

    async def _messages(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            after = int(request.query.get("after", 0))
            limit = int(request.query.get("limit", 1 << 62))
        except ValueError as error:
            raise ConfigurationError("after and limit are whole numbers") from error
        return await self._stream(request, self._arrivals(after + 1, min(after + limit, 1 << 62)))

    def _arrivals(self, first: int, last: int) -> Iterator[dict[str, Any]]:
        journal = self._gateway.journal
        pushes = journal.pushes(first, last)
        bodies: dict[int, bytes] = {}
        for row in journal.messages(first, last):
            if row.id not in bodies:
                bodies = journal.sent(row.id, row.id + _LINES)
            sent = bodies[row.id]
            events = self._past(row)
            yield {
                "id": row.id,
                "request": row.request,
                "position": row.position,
                "arrived": row.arrived,
                "account": row.account,
                "to": row.recipient,
                "reference": row.reference,
                "customGrouping": row.grouping,
                "outcome": "rejected" if row.code else "accepted",
                "code": row.code,
                "statuses": [
                    {"code": each.code, "error": each.error, "at": row.arrived + each.after}
                    for each in events
                ],
                "pushed": [{"code": code, "at": at} for code, at in pushes.get(row.id, ()) if code != VISIT],
                "message": orjson.loads(sent) if sent else None,
            }

    def _truth(self) -> Iterator[dict[str, Any]]:
        now = clock.now()
        answers = {each.message: bool(each.stop) for each in self._gateway.journal.inbound() if each.message}
        pushes = self._gateway.journal.pushes()
        for row in self._gateway.journal.messages():
            if row.code:
                continue
            events = timeline(row, self._gateway.population.person(row.recipient), self._gateway.settings)
            current, final = state(events, now - row.arrived), events[-1]
            yield {
                "reference": row.reference,
                "to": row.recipient,
                "customGrouping": row.grouping,
                "state": NAMES[current.code] if current else "none",
                "code": current.error if current else "",
                "final_state": NAMES[final.code],
                "final_code": final.error,
                "replied": row.id in answers,
                "stopped": answers.get(row.id, False),
                "clicked": any(code == VISIT for code, _ in pushes.get(row.id, ())),
            }

    def _past(self, row: MessageRow) -> list[Any]:
        if row.code:
            return []
        age = clock.now() - row.arrived
        person = self._gateway.population.person(row.recipient)
        return [each for each in timeline(row, person, self._gateway.settings) if each.after <= age]

    def _account_of(self, name: str | None) -> Account:
        accounts = self._gateway.accounts
        account = accounts.first() if name is None else accounts.by_token(name) or accounts.by_id(name)
        if account is None:
            raise LookupError("no such account")
        return account

    async def _stream(self, request: web.BaseRequest, rows: Iterator[dict[str, Any]]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        piece: list[bytes] = []
        for row in rows:
            piece.append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            if len(piece) == _LINES:
                await response.write(b"".join(piece))
                piece.clear()
                await asyncio.sleep(0)  # writing does not wait while the socket takes everything
        await response.write(b"".join(piece))
        await response.write_eof()
        return response


def _json(content: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")


async def _content(request: web.BaseRequest) -> Any:
    try:
        return orjson.loads(await request.read())
    except ValueError as error:
        raise ConfigurationError(f"the body is not valid JSON: {error}") from error


def _loopback(remote: str | None) -> bool:
    try:
        return remote is not None and ipaddress.ip_address(remote).is_loopback
    except ValueError:
        return False
