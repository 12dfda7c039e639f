"""Each fault as a client meets it, and what the judge remembers of the request."""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.error
from typing import Any

import pytest

from tests.support.simulator import TOKEN, Simulator, running_simulator, template_message

BODY = json.dumps({"messages": {"msg": [template_message(reference="r1")]}}).encode()


def post(simulator: Simulator) -> http.client.HTTPResponse:
    """One POST on a connection of its own; raises OSError when it breaks."""
    return simulator.open("POST", "/v1.0/message", BODY, {"X-CM-PRODUCTTOKEN": TOKEN})


def raw(simulator: Simulator) -> socket.socket:
    host, port = simulator.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_reset_before_the_body_is_read(simulator: Simulator) -> None:
    simulator.faults({"kind": "reset_before_body", "count": 1})
    with raw(simulator) as connection:
        head = f"POST /v1.0/message HTTP/1.1\r\nHost: x\r\nX-CM-PRODUCTTOKEN: {TOKEN}\r\nContent-Length: 100000\r\n\r\n"
        connection.sendall(head.encode())
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    stats = simulator.stats()
    assert (stats["requests"], stats["requests_faulted"], stats["messages"]) == (1, 1, 0)
    assert post(simulator).status == 200, "the fault was for one request"


def test_reset_after_the_body_was_read_takes_nothing(simulator: Simulator) -> None:
    simulator.faults({"kind": "reset_after_body", "count": 1})
    with pytest.raises((ConnectionResetError, urllib.error.URLError)):
        post(simulator)
    assert simulator.stats()["messages"] == 0


def test_answer_lost_has_taken_the_messages(simulator: Simulator) -> None:
    simulator.faults({"kind": "answer_lost", "count": 1})
    with pytest.raises((ConnectionResetError, urllib.error.URLError)):
        post(simulator)
    assert simulator.stats()["accepted"] == 1
    assert [each["reference"] for each in simulator.messages()] == ["r1"]


@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [
        ({"kind": "unavailable", "status": 429, "retry_after": 3}, 429, "3"),
        ({"kind": "unavailable", "status": 429}, 429, None),
        ({"kind": "unavailable"}, 503, None),
        ({"kind": "unavailable", "retry_after": 1}, 503, "1"),
        ({"kind": "unavailable", "status": 500}, 500, None),
    ],
)
def test_error_statuses(
    simulator: Simulator, fault: dict[str, Any], status: int, retry_after: str | None
) -> None:
    simulator.faults(fault)
    with pytest.raises(urllib.error.HTTPError) as error:
        post(simulator)
    assert (error.value.code, error.value.headers["Retry-After"]) == (status, retry_after)
    assert simulator.stats()["messages"] == 0


def test_html_error_page(simulator: Simulator) -> None:
    simulator.faults({"kind": "html", "status": 502})
    with pytest.raises(urllib.error.HTTPError) as error:
        post(simulator)
    assert error.value.code == 502
    assert error.value.headers["Content-Type"].startswith("text/html")
    assert b"<html>" in error.value.read()


def test_an_error_page_may_hide_that_the_messages_were_taken(simulator: Simulator) -> None:
    simulator.faults({"kind": "html", "status": 502, "remember": True})
    with pytest.raises(urllib.error.HTTPError):
        post(simulator)
    assert simulator.stats()["accepted"] == 1


def test_answers_that_cannot_be_read(simulator: Simulator) -> None:
    simulator.faults({"kind": "malformed_json", "count": 1})
    with pytest.raises(json.JSONDecodeError):
        json.loads(post(simulator).read())
    simulator.faults({"kind": "wrong_shape", "count": 1})
    assert isinstance(json.loads(post(simulator).read()), list)
    assert simulator.stats()["accepted"] == 2


def test_gateway_error(simulator: Simulator) -> None:
    simulator.faults({"kind": "gateway_error", "code": 102})
    status, answer = simulator.send(template_message())
    assert (status, answer["errorCode"], answer["messages"]) == (400, 102, [])


def test_latency_and_hang(simulator: Simulator) -> None:
    simulator.faults({"kind": "latency", "ms": 300}, {"kind": "hang", "seconds": 0.5, "count": 1})
    start = time.monotonic()
    with pytest.raises((ConnectionResetError, urllib.error.URLError)):
        post(simulator)
    assert time.monotonic() - start > 0.75
    start = time.monotonic()
    assert post(simulator).status == 200
    assert time.monotonic() - start > 0.28


def test_refused_connections_come_back(simulator: Simulator) -> None:
    with raw(simulator) as idle:
        simulator.faults({"kind": "refuse_connections", "seconds": 1})
        with pytest.raises(ConnectionResetError):
            idle.recv(1)
    with pytest.raises(ConnectionRefusedError):
        raw(simulator)
    time.sleep(1.2)
    assert post(simulator).status == 200


def test_probability_and_path(simulator: Simulator) -> None:
    simulator.faults({"kind": "unavailable", "probability": 0.5}, {"kind": "unavailable", "path": "/v1.2"})
    statuses = []
    for _ in range(60):
        try:
            statuses.append(post(simulator).status)
        except urllib.error.HTTPError as error:
            statuses.append(error.code)
    assert 15 < statuses.count(503) < 45
    with pytest.raises(urllib.error.HTTPError):
        simulator.log()
    assert [each["hits"] for each in simulator.get("/_sim/faults")["faults"]] == [statuses.count(503), 1]


def test_an_unknown_fault_is_refused_with_its_place(simulator: Simulator) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        simulator.faults({"kind": "unavailable"}, {"kind": "unavaliable"})
    assert error.value.code == 400
    assert "$[1].kind" in json.loads(error.value.read())["error"]
    assert simulator.get("/_sim/faults") == {"faults": []}


def test_faults_and_rate_from_the_command_line() -> None:
    with running_simulator(faults=[{"kind": "unavailable", "count": 1}], rate=5) as simulator:
        with pytest.raises(urllib.error.HTTPError) as error:
            post(simulator)
        assert error.value.code == 503
        messages = [template_message(f"003161234567{digit}") for digit in range(5)]
        assert simulator.send(*messages)[0] == 200
        with pytest.raises(urllib.error.HTTPError) as throttled:
            post(simulator)
        assert (throttled.value.code, throttled.value.headers["Retry-After"]) == (429, "1")
        time.sleep(1.05)
        assert simulator.send(*messages)[0] == 200
        stats = simulator.stats()
        assert (stats["accepted"], stats["max_per_second"], stats["requests_throttled"]) == (10, 5, 1)
