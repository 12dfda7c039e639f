"""The hook with a real Airflow connection, the simulator, and a server that fails."""

from __future__ import annotations

import logging
import socket
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cm_com.exceptions import (
    CmComAuthError,
    CmComBalanceError,
    CmComConfigError,
    CmComError,
    CmComRequestError,
    CmComThrottled,
    CmComUnavailable,
    CmComUncertain,
    CmComUnreadable,
)

from tests.cm_com.examples import SECRET_TEXT, TOKEN, secrets_in, wire_messages
from tests.cm_com.raw_server import RawServer, accepts_all, answers, closed_port, raw_server
from tests.support.simulator import Simulator

pytestmark = pytest.mark.airflow
Connect = Callable[..., None]
EMPTY_LOG = {
    "status": 1,
    "message": "There are no transactions available with these parameters",
    "result": [],
}


def hook(**options: Any) -> Any:
    from cm_com.hooks import CmComHook

    options = {"connect_timeout": 1.0, "read_timeout": 1.0} | options
    return CmComHook(cm_com_conn_id="cm_com_test", **options)


def test_creating_a_hook_reads_nothing() -> None:
    from cm_com.hooks import CmComHook

    CmComHook(cm_com_conn_id="no_such_connection")


def test_send_gives_one_result_per_message(connect: Connect, simulator: Simulator) -> None:
    connect(simulator.url, batch_size=100)
    messages = wire_messages(250)
    messages[120]["body"] = {"type": "auto"}
    results = hook().send(messages)
    assert [result.reference for result in results] == [f"c42r{index}" for index in range(250)]
    assert [index for index, result in enumerate(results) if not result.accepted] == [120]
    assert simulator.stats()["requests"] == 3
    assert hook().send([]) == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "gateway_error", "code": 101}, CmComAuthError),
        ({"kind": "gateway_error", "code": 102}, CmComBalanceError),
        ({"kind": "gateway_error", "code": 203}, CmComRequestError),
        ({"kind": "unavailable", "status": 429, "retry_after": 3}, CmComThrottled),
        ({"kind": "answer_lost"}, CmComUncertain),
        ({"kind": "unavailable", "status": 502}, CmComUncertain),
    ],
)
def test_send_raises_by_what_there_is_to_do_and_keeps_what_is_known(
    connect: Connect, simulator: Simulator, fault: dict[str, Any], error: type[CmComError]
) -> None:
    connect(simulator.url, batch_size=2)
    messages = wire_messages(6)
    simulator.faults({"kind": "latency", "ms": 0, "count": 1}, fault | {"count": 1})
    with pytest.raises(error) as raised:
        hook().send(messages)
    assert type(raised.value) is error
    assert raised.value.retry == (error in {CmComThrottled, CmComUnavailable})
    assert "connection cm_com_test, 127.0.0.1" in str(raised.value)
    assert raised.value.results == ()
    assert simulator.stats()["requests"] <= 1, "no request follows one that failed"


def test_send_not_reached(connect: Connect) -> None:
    connect(f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(CmComUnavailable, match="Nothing was sent"):
        hook().send(wire_messages(1))


def test_results_of_earlier_requests_come_with_the_error(connect: Connect) -> None:
    with raw_server(answers(lambda body: accepts_all(body) if b"c42r0" in body else b"oops")) as server:
        connect(server.url, batch_size=2)
        with pytest.raises(CmComUncertain) as raised:
            hook().send(wire_messages(6))
    assert [result.reference for result in raised.value.results] == ["c42r0", "c42r1"]
    assert len(server.requests) == 2


def test_a_mistake_in_the_last_message_is_found_before_the_first_leaves(
    connect: Connect, simulator: Simulator
) -> None:
    connect(simulator.url, batch_size=2)
    with pytest.raises(ValueError, match="recipient"):
        hook().send([*wire_messages(4), {"to": []}])
    assert simulator.stats()["requests"] == 0


def test_sending_needs_a_sender_number(connect: Connect) -> None:
    connect("http://127.0.0.1:9", sender=None)
    with pytest.raises(CmComConfigError, match="sender number"):
        hook().send(wire_messages(1))


def test_the_message_log_has_what_was_sent(connect: Connect, simulator: Simulator) -> None:
    connect(simulator.url)
    start = datetime.now(UTC) - timedelta(hours=30)
    hook().send(wire_messages(25))
    time.sleep(0.2)
    rows = list(hook().iter_transactions(start, datetime.now(UTC) + timedelta(seconds=1), page_size=10))
    assert sorted(row.reference for row in rows) == sorted(f"c42r{index}" for index in range(25))
    assert {row.recipient for row in rows} == {f"+316{12345000 + index}" for index in range(25)}
    assert {row.direction for row in rows} == {"out"}
    assert {row.country for row in rows} == {"NL"}
    assert all(row.created and row.created.tzinfo for row in rows)
    page = hook().get_transactions(
        datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC), reference="c42r7"
    )
    assert [row.reference for row in page.rows] == ["c42r7"]


def test_replies_are_in_the_log_too(connect: Connect, simulator: Simulator) -> None:
    connect(simulator.url)
    hook().send(wire_messages(1))
    simulator.inbound(from_="0031612345000", text="STOP", reference="c42r0")
    now = datetime.now(UTC)
    rows = list(hook().iter_transactions(now - timedelta(minutes=5), now + timedelta(seconds=2), "in"))
    assert [(row.direction, row.text) for row in rows] == [("in", "STOP")]


def test_a_throttled_log_is_waited_for(connect: Connect, simulator: Simulator) -> None:
    connect(simulator.url)
    now = datetime.now(UTC)
    simulator.faults(
        {"kind": "unavailable", "status": 429, "retry_after": 1, "count": 1, "path": "/v1.2/transactions"}
    )
    began = time.monotonic()
    assert list(hook().iter_transactions(now - timedelta(minutes=5), now)) == []
    assert time.monotonic() - began >= 1.0
    simulator.faults({"kind": "unavailable", "status": 429, "retry_after": 60, "path": "/v1.2/transactions"})
    with pytest.raises(CmComThrottled) as raised:
        list(hook().iter_transactions(now - timedelta(minutes=5), now, patience=5))
    assert raised.value.retry_after == 60.0


@pytest.mark.parametrize("hours", [0, -1, 25])
def test_a_span_is_a_day_at_most(connect: Connect, hours: float) -> None:
    connect("http://127.0.0.1:9")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(CmComRequestError, match="24 hours"):
        hook().get_transactions(start, start + timedelta(hours=hours))


def test_templates_with_their_state(connect: Connect, simulator: Simulator) -> None:
    connect(simulator.url)
    simulator.template(
        element_name="welcome", language="nl", namespace="n1", body_variables=1, status="PAUSED"
    )
    (template,) = [each for each in hook().get_templates() if each.name == "welcome"]
    assert (template.language, template.namespace, template.status) == ("nl", "n1", "PAUSED")
    assert template.category == "MARKETING"


def test_templates_need_account_and_channel(connect: Connect) -> None:
    connect("http://127.0.0.1:9", account_id=None)
    with pytest.raises(CmComConfigError, match="Account id and channel id"):
        hook().get_templates()


def test_templates_at_a_path_of_the_accounts_own(connect: Connect) -> None:
    with raw_server(answers({"data": []})) as server:
        connect(server.url, templates_path="/x/{channel_id}/list", channel_id="a/b")
        assert hook().get_templates() == []
        assert server.requests[0].startswith(b"GET /x/a%2Fb/list HTTP")


def stays_silent(_server: RawServer, _connection: socket.socket) -> None:
    time.sleep(1)


class TestConnectionTest:
    def test_it_works_and_reaches_nobody(self, connect: Connect, simulator: Simulator) -> None:
        connect(simulator.url)
        assert hook().test_connection() == (
            True,
            "CM.com takes the product token, and the message log can be read. Nothing was sent.",
        )
        assert simulator.stats()["messages"] == 0

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"password": None}, "product token of connection cm_com_test is missing"),
            ({"password": "00000000-0000-0000-0000-00000000dead"}, "code 101, authentication failed"),
            ({"password": "5e1f0c1e7d3a4f529a43d1c0ffee0001"}, "GUID with its hyphens; this one is not"),
            ({"sender": None}, "sender number of connection cm_com_test is missing"),
            ({"sender": "0612"}, "sender number of connection cm_com_test is malformed"),
        ],
    )
    def test_it_says_which_field_is_wrong(
        self, connect: Connect, simulator: Simulator, fields: dict[str, Any], words: str
    ) -> None:
        connect(simulator.url, **fields)
        works, message = hook().test_connection()
        assert (works, words in message) == (False, True), message
        assert secrets_in(message) == []

    def test_a_host_that_is_not_there(self, connect: Connect) -> None:
        connect(f"http://127.0.0.1:{closed_port()}")
        assert (
            hook()
            .test_connection()[1]
            .startswith("CM.com was not reached: ConnectionError (connection cm_com_")
        )

    def test_a_host_that_is_silent(self, connect: Connect) -> None:
        with raw_server(stays_silent) as server:
            connect(server.url)
            works, message = hook(read_timeout=0.3).test_connection()
        assert (works, "ReadTimeout" in message) == (False, True), message

    @pytest.mark.parametrize(
        ("script", "words"),
        [
            (answers(b"<html>Welcome</html>"), "is not CM.com"),
            (answers(b"", status=301, headers={"Location": "https://example.org/"}), "is not CM.com"),
            (answers(b"nothing here", status=404), "is not CM.com"),
            (answers({"errorCode": 102, "messages": []}, status=400), "balance"),
            (answers(b"", status=429, headers={"Retry-After": "9"}), "wait 9 s"),
        ],
    )
    def test_something_else_answers(self, connect: Connect, script: Any, words: str) -> None:
        with raw_server(script) as server:
            connect(server.url)
            works, message = hook().test_connection()
        assert (works, words in message) == (False, True), message

    def test_the_message_log_is_looked_at_too(self, connect: Connect, simulator: Simulator) -> None:
        connect(simulator.url, transactions_url=f"http://127.0.0.1:{closed_port()}")
        works, message = hook().test_connection()
        assert (works, "was not reached" in message) == (False, True), message
        simulator.faults({"kind": "html", "status": 404, "path": "/v1.2/transactions", "count": 1})
        connect(simulator.url)
        assert "interface is not at this URL (HTTP 404" in hook().test_connection()[1]


def test_only_the_token_goes_into_the_headers(connect: Connect) -> None:
    """HttpHook sends what is left of `extra` as headers; here that would be the account's ids and more."""
    with raw_server(answers(EMPTY_LOG)) as server:
        connect(
            server.url,
            secret_note="do-not-leak",
            headers={"X-Own": "do-not-leak"},
            verify=False,
            timeout=999,
            proxies={"http": "http://127.0.0.1:9"},
        )
        now = datetime.now(UTC)
        hook().get_transactions(now - timedelta(minutes=1), now)
        hook().run("/v1.2/transactions/")
        hook().run("/v1.2/transactions/", headers={"X-Asked": "yes"})
    assert len(server.requests) == 3
    for request in server.requests:
        assert b"do-not-leak" not in request
        assert b"account" not in request.lower()
        assert f"X-CM-PRODUCTTOKEN: {TOKEN}".encode() in request
        assert b"Authorization" not in request
    assert b"X-Asked: yes" in server.requests[2]


def test_a_password_in_netrc_stays_there(
    connect: Connect, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password do-not-leak\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with raw_server(
        answers(lambda body: EMPTY_LOG if not body.startswith(b"{") else accepts_all(body))
    ) as server:
        connect(server.url)
        now = datetime.now(UTC)
        hook().get_transactions(now - timedelta(minutes=1), now)
        hook().send(wire_messages(1))
        assert len(server.requests) == 2
        assert not [request for request in server.requests if b"Authorization" in request]


def test_a_redirect_does_not_carry_the_token_off(connect: Connect) -> None:
    with raw_server(answers(EMPTY_LOG)) as elsewhere:
        with raw_server(answers(b"", status=302, headers={"Location": elsewhere.url})) as server:
            connect(server.url)
            now = datetime.now(UTC)
            with pytest.raises(CmComConfigError, match="HTTP 302"):
                hook().get_transactions(now - timedelta(minutes=1), now)
            with pytest.raises(CmComUncertain):
                hook().send(wire_messages(1))
        assert elsewhere.connections == 0


@pytest.mark.parametrize("content", [b"<html></html>", b"[]", b"{}", b"\xff"])
def test_an_unreadable_log_is_told(connect: Connect, content: bytes) -> None:
    with raw_server(answers(content)) as server:
        connect(server.url)
        now = datetime.now(UTC)
        with pytest.raises(CmComUnreadable):
            hook().get_transactions(now - timedelta(minutes=1), now)


def test_nothing_private_is_logged_or_raised(
    connect: Connect, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    private_answer = {"details": SECRET_TEXT, "errorCode": 101, "messages": [], "number": "0031612345000"}
    told: list[str] = []
    now = datetime.now(UTC)

    def attempt(call: Callable[[], Any]) -> None:
        try:
            told.append(repr(call()))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not tell
            told.append("".join(traceback.format_exception(error)))
            told.append(repr(error) + repr(vars(error)))

    with raw_server(answers(private_answer, status=400)) as server:
        for url in (simulator.url, server.url, f"http://127.0.0.1:{closed_port()}"):
            connect(url)
            tested = hook()
            messages = wire_messages(2)
            messages[1]["to"] = [{"number": "00316123450xx"}]
            attempt(lambda: tested.send(messages))  # noqa: B023
            attempt(lambda: list(tested.iter_transactions(now - timedelta(hours=1), now)))  # noqa: B023
            attempt(tested.get_templates)
            attempt(tested.test_connection)
            attempt(lambda: tested.run("/v1.2/transactions/"))  # noqa: B023
            attempt(lambda: tested)  # noqa: B023
            for kind in ("answer_lost", "html", "malformed_json"):
                simulator.faults({"kind": kind, "path": "/", "count": 2})
                attempt(lambda: tested.send(wire_messages(1)))  # noqa: B023
                attempt(tested.test_connection)
            simulator.faults()
    text = "\n".join([*told, caplog.text])
    # The frames of a traceback quote source lines; secrets would be values.
    assert secrets_in(text) == [], text
