"""The messenger against the simulator, and against a server that fails in ways the simulator cannot."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from cm_com.delivery import Delivery
from cm_com.messenger import CmComMessenger

from tests.cm_com.examples import NAMESPACE, SECRET_TEXT, TOKEN, secrets_in, settings_for, wire_messages
from tests.cm_com.raw_server import RawServer, accepts_all, answers, closed_port, raw_server, reset
from tests.support.simulator import Simulator


async def deliver(url: str, messages: Any, *, token: str = TOKEN, **options: Any) -> Delivery:
    options = {"connect_timeout": 1.0, "read_timeout": 0.5} | options
    async with CmComMessenger(settings_for(url, token=token), **options) as messenger:
        return await messenger.send(messages)


async def test_a_batch_arrives_once_and_each_message_has_its_result(simulator: Simulator) -> None:
    before = time.monotonic()
    delivery = await deliver(simulator.url, wire_messages(100))
    assert delivery.outcome == "answered"
    assert [result.reference for result in delivery.results] == [f"c42r{index}" for index in range(100)]
    assert {result.accepted for result in delivery.results} == {True}
    assert delivery.left_at is not None
    assert before < delivery.left_at < time.monotonic()
    stats = simulator.stats()
    assert (stats["requests"], stats["messages"], stats["accepted"]) == (1, 100, 100)


async def test_encoded_messages_are_what_the_engine_meant(simulator: Simulator) -> None:
    async with CmComMessenger(settings_for(simulator.url)) as messenger:
        encoded = messenger.encode(Outgoing())
        delivery = await messenger.send([encoded, json.dumps(wire_messages(1)[0]).encode()])
    assert {result.accepted for result in delivery.results} == {True}
    sent = json.loads(encoded)
    template = sent["richContent"]["conversation"][0]["template"]["whatsapp"]
    assert (sent["from"], sent["to"]) == ("0031687654321", [{"number": "0031612345999"}])
    assert sent["customGrouping2"] == "b"
    assert [component["type"] for component in template["components"]] == ["body", "button", "button"]
    assert template["components"][2] == {
        "type": "button",
        "sub_type": "url",
        "index": 1,
        "parameters": [{"type": "text", "text": "3kTMd2"}],
    }


async def test_a_bad_message_does_not_spoil_the_others(simulator: Simulator) -> None:
    messages = wire_messages(3)
    messages[1]["body"] = {"type": "auto"}
    delivery = await deliver(simulator.url, messages)
    assert [(result.accepted, result.code) for result in delivery.results] == [
        (True, 0),
        (False, 304),
        (True, 0),
    ]


async def test_all_bad_is_an_answer_too(simulator: Simulator) -> None:
    messages = wire_messages(2)
    for message in messages:
        message["to"] = [{"number": "0044791112345a"}]
    delivery = await deliver(simulator.url, messages)
    assert (delivery.outcome, delivery.status) == ("answered", 400)
    assert {result.accepted for result in delivery.results} == {False}
    assert [result.code for result in delivery.results] == [303, 303]


async def test_a_wrong_token_is_refused_for_good(simulator: Simulator) -> None:
    delivery = await deliver(simulator.url, wire_messages(1), token="00000000-0000-0000-0000-00000000dead")
    assert (delivery.outcome, delivery.code, delivery.fatal) == ("refused", 101, True)
    assert simulator.stats()["accepted"] == 0


@pytest.mark.parametrize(
    ("fault", "outcome", "arrived"),
    [
        ({"kind": "answer_lost"}, "unknown", 3),
        ({"kind": "reset_after_body"}, "unknown", 0),
        ({"kind": "reset_before_body"}, "unknown", 0),
        ({"kind": "malformed_json"}, "unknown", 3),
        ({"kind": "wrong_shape"}, "unknown", 3),
        ({"kind": "html", "status": 502}, "unknown", 0),
        ({"kind": "hang", "seconds": 2}, "unknown", 0),
        ({"kind": "unavailable", "status": 500}, "unknown", 0),
        ({"kind": "unavailable", "status": 503}, "unknown", 0),
        ({"kind": "unavailable", "status": 429}, "unknown", 0),
        ({"kind": "unavailable", "status": 503, "retry_after": 2}, "not_sent", 0),
        ({"kind": "unavailable", "status": 429, "retry_after": 7}, "not_sent", 0),
        ({"kind": "gateway_error", "code": 102}, "refused", 0),
        ({"kind": "gateway_error", "code": 500}, "unknown", 0),
        ({"kind": "latency", "ms": 100}, "answered", 3),
    ],
    ids=lambda value: str(value.get("kind")) if isinstance(value, dict) else str(value),
)
async def test_every_fault_has_the_outcome_that_is_safe(
    simulator: Simulator, fault: dict[str, Any], outcome: str, arrived: int
) -> None:
    simulator.faults(fault | {"count": 1})
    delivery = await deliver(simulator.url, wire_messages(3))
    assert delivery.outcome == outcome, delivery
    assert delivery.retry_after == fault.get("retry_after")
    # What counts: "may be sent again" is never said of something that was taken.
    assert simulator.stats()["accepted"] == arrived
    assert simulator.stats()["requests"] <= 1, "the messenger repeated a request"


async def test_not_connecting_is_certain() -> None:
    for url in (f"http://127.0.0.1:{closed_port()}", "http://no-such-host.invalid"):
        delivery = await deliver(url, wire_messages(1))
        assert (delivery.outcome, delivery.left_at, delivery.status) == ("not_sent", None, None), delivery


async def test_a_connection_that_is_not_answered_is_certain() -> None:
    """A full backlog: the kernel drops the SYN, so the connection is never made."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(("127.0.0.1", port))
        delivery = await deliver(f"http://127.0.0.1:{port}", wire_messages(1), connect_timeout=0.3)
        for filler in fillers:
            filler.close()
    assert (delivery.outcome, delivery.left_at) == ("not_sent", None), delivery


async def test_a_failed_tls_handshake_is_certain() -> None:
    def no_tls(server: RawServer, connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with raw_server(no_tls) as server:
        delivery = await deliver(server.url.replace("http:", "https:"), wire_messages(1))
    assert (delivery.outcome, delivery.left_at) == ("not_sent", None), delivery


def closes_at_once(server: RawServer, connection: socket.socket) -> None:
    reset(connection)


def closes_after_the_headers(server: RawServer, connection: socket.socket) -> None:
    connection.recv(10)
    reset(connection)


def closes_without_an_answer(server: RawServer, connection: socket.socket) -> None:
    server.read(connection)


def stops_within_the_answer(server: RawServer, connection: socket.socket) -> None:
    server.read(connection)
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"errorCode":0')


def stays_silent(server: RawServer, connection: socket.socket) -> None:
    server.read(connection)
    time.sleep(1.5)


def answers_nonsense(server: RawServer, connection: socket.socket) -> None:
    server.read(connection)
    connection.sendall(b"\x00\x01 no http\r\n\r\n")


@pytest.mark.parametrize(
    "script",
    [
        closes_after_the_headers,
        closes_without_an_answer,
        stops_within_the_answer,
        stays_silent,
        answers_nonsense,
        answers(b"", status=307, headers={"Location": "http://127.0.0.1:9/elsewhere"}),
    ],
)
async def test_after_a_connection_was_made_everything_is_unknown_and_tried_once(script: Any) -> None:
    with raw_server(script) as server:
        delivery = await deliver(server.url, wire_messages(2))
        assert delivery.outcome == "unknown", delivery
        assert server.connections == 1


async def test_a_connection_reset_at_once_took_nothing_whatever_is_said_about_it() -> None:
    with raw_server(closes_at_once) as server:
        delivery = await deliver(server.url, wire_messages(2))
        assert delivery.outcome in {"not_sent", "unknown"}, "a race between the reset and the request"
        assert (delivery.outcome == "not_sent") == (delivery.left_at is None)
        assert (server.connections, server.requests) == (1, [])


async def test_a_kept_alive_connection_the_server_closed_is_not_used_for_a_second_try() -> None:
    """The server answers once, then closes while the next request is on its way: that request may have been
    read, so the messenger may neither call it unsent nor repeat it."""

    def answers_once_then_resets(server: RawServer, connection: socket.socket) -> None:
        body = server.read(connection) or b""
        raw = json.dumps(accepts_all(body)).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
        server.read(connection)
        reset(connection)

    with raw_server(answers_once_then_resets) as server:
        async with CmComMessenger(settings_for(server.url), read_timeout=1.0) as messenger:
            first = await messenger.send(wire_messages(1))
            second = await messenger.send(wire_messages(1, first=1))
        assert (first.outcome, second.outcome) == ("answered", "unknown")
        assert (server.connections, len(server.requests)) == (1, 2)


async def test_a_connection_closed_while_idle_is_replaced() -> None:
    def one_request(server: RawServer, connection: socket.socket) -> None:
        body = server.read(connection) or b""
        raw = json.dumps(accepts_all(body)).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)

    with raw_server(one_request) as server:
        async with CmComMessenger(settings_for(server.url)) as messenger:
            outcomes = []
            for index in range(3):
                outcomes.append((await messenger.send(wire_messages(1, first=index))).outcome)
                await asyncio.sleep(0.05)
        assert outcomes == ["answered"] * 3
        assert server.connections == 3


async def test_what_is_sent_carries_the_token_in_the_header_only() -> None:
    with raw_server(answers(accepts_all)) as server:
        await deliver(server.url, wire_messages(1))
        (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1.0/message HTTP/1.1"
    assert f"X-CM-PRODUCTTOKEN: {TOKEN}" in lines
    assert "Content-Type: application/json" in lines
    names = {line.split(":")[0] for line in lines[1:]}
    assert names == {
        "Host",
        "Accept",
        "Accept-Encoding",
        "Content-Length",
        "Content-Type",
        "User-Agent",
        "X-CM-PRODUCTTOKEN",
    }
    assert json.loads(body) == {"messages": {"msg": wire_messages(1)}}


@pytest.mark.parametrize("messages", [[], wire_messages(101), [{"to": []}], [b"{}"]])
async def test_a_batch_that_could_not_be_judged_is_not_sent(messages: Any) -> None:
    with raw_server(answers(accepts_all)) as server:
        with pytest.raises(ValueError, match="message"):
            await deliver(server.url, messages)
        assert server.connections == 0


async def test_a_cancelled_request_is_not_repeated() -> None:
    with raw_server(stays_silent) as server:
        async with CmComMessenger(settings_for(server.url)) as messenger:
            task = asyncio.create_task(messenger.send(wire_messages(1)))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert server.connections == 1


async def test_the_environments_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(answers(accepts_all)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("NO_PROXY", "inside.example.org")
        monkeypatch.setenv("no_proxy", "inside.example.org")
        away = await deliver("http://gateway.example.org", wire_messages(1))
        inside = await deliver("http://inside.example.org", wire_messages(1))
    assert (away.outcome, inside.outcome) == ("answered", "not_sent")
    assert proxy.requests[0].startswith(b"POST http://gateway.example.org/v1.0/message HTTP/1.1")


async def test_using_it_unopened_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await CmComMessenger(settings_for("http://127.0.0.1:9")).send(wire_messages(1))


async def test_nothing_private_is_logged_or_told(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    messages = wire_messages(2)
    messages[1]["to"] = [{"number": "0044791112345a"}]
    told = [repr(await deliver(simulator.url, messages))]
    for kind in ("answer_lost", "malformed_json", "html", "gateway_error"):
        simulator.faults({"kind": kind, "count": 1})
        told.append(repr(await deliver(simulator.url, wire_messages(2))))
    told.append(repr(await deliver(f"http://127.0.0.1:{closed_port()}", wire_messages(2))))
    told.append(repr(CmComMessenger(settings_for(simulator.url))))
    assert secrets_in("\n".join([*told, caplog.text])) == []
    assert "791112345a" not in "\n".join([*told, caplog.text])


@dataclass
class Outgoing:
    """What an engine hands over."""

    phone: str = "+31612345999"
    reference: str = "c42r999"
    template: str = "order_update"
    namespace: str = NAMESPACE
    language: str = "en"
    variables: tuple[str, ...] = (SECRET_TEXT,)
    payloads: tuple[tuple[int, str], ...] = ((0, "STOP"),)
    url_parts: tuple[tuple[int, str], ...] = ((1, "3kTMd2"),)
    fallback_text: str = "Your order"
    groupings: tuple[str, str, str] = field(default=("a", "b", "c"))
    header_media: tuple[str, str] | None = None
