"""The webhook process: what it acknowledges is committed, what it cannot take it says so, and strangers get nothing."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from include.database import connect
from include.local.postgres import Postgres
from tests.message_log.ledger import add_campaign, add_messages, add_people, message
from tests.support.webhook import SECRET, WebhookProcess, running_webhook


@pytest.fixture
def conn(migrated_database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(migrated_database) as connection:
        connection.autocommit = True
        yield connection


@pytest.fixture(scope="module")
def shared(
    postgres: Postgres, migrated_template: str
) -> Iterator[tuple[psycopg.Connection[Any], WebhookProcess]]:
    """A database and its webhook for the tests that leave both as they were: a process takes seconds to start."""
    dsn = postgres.create_database("webhook", template=migrated_template)
    with running_webhook(dsn) as process, connect(dsn) as connection:
        connection.autocommit = True
        yield connection, process
    postgres.drop_database("webhook")


@pytest.fixture
def webhook(shared: tuple[psycopg.Connection[Any], WebhookProcess]) -> WebhookProcess:
    connection, process = shared
    connection.execute(
        "truncate campaign_message, message_event, inbound_message, set_aside, suppression, optout_outbox, campaign, "
        "subscription cascade"
    )
    return process


@pytest.fixture
def ledger(shared: tuple[psycopg.Connection[Any], WebhookProcess]) -> psycopg.Connection[Any]:
    """The database of `webhook`."""
    return shared[0]


def status(reference: str, code: str = "2", error: str = "") -> str:
    told = {"code": code, "errorCode": error, "errorDescription": ""}
    fields = {
        "received": "2026-11-22T10:00:05",
        "to": "0032470000000",
        "reference": reference,
        "status": told,
    }
    return json.dumps({"messages": {"msg": fields | {"operator": ""}}})


def reply(text: str, number: str = "+32470000000", reference: str = "", **more: Any) -> str:
    return json.dumps(
        {
            "reference": reference,
            "messageContext": "",
            "from": {"number": number, "name": "Jan"},
            "to": {"number": "0031687654321"},
            "message": {
                "text": text,
                "media": {"mediaUri": "", "contentType": "", "title": ""},
                "custom": {},
            },
            "groupings": ["", "", ""],
            "timeUtc": "2026-11-22T10:30:00",
            "channel": "WhatsApp",
        }
        | more
    )


def count(conn: psycopg.Connection[Any], table: str) -> int:
    row = conn.execute(f"select count(*) from {table}").fetchone()  # type: ignore[arg-type]  # noqa: S608
    assert row is not None
    return int(row["count"])


def test_statuses_and_replies_are_committed_before_the_answer(webhook: WebhookProcess, ledger: Any) -> None:
    campaign = add_campaign(ledger)
    first, second = add_messages(ledger, campaign, add_people(ledger, 2))
    assert webhook.post(status(first)) == 200
    assert message(ledger, first)["state"] == "delivered"
    assert webhook.post(status(second, "3", "59"), f"/any/prefix/{SECRET}/inbound") == 200
    assert message(ledger, second)["error_code"] == 59
    assert webhook.post(reply("Bedankt!", reference=first), f"/{SECRET}/inbound") == 200
    assert message(ledger, first)["replied_at"] is not None
    stop = reply("Stop aub", number="0032470000001", timeUtc="2026-11-22T10:31:00")
    assert webhook.post(stop) == 200
    row = ledger.execute("select status from subscription order by id offset 1").fetchone()
    assert row["status"] == "unsubscribed"
    assert webhook.post(stop) == webhook.post(stop) == 200
    assert (
        count(ledger, "inbound_message"),
        count(ledger, "consent_event"),
        count(ledger, "suppression"),
    ) == (
        2,
        1,
        1,
    )
    assert webhook.get(f"/hooks/{SECRET}/status?reference={first}&statuscode=4&to=0032470000000") == 200
    assert message(ledger, first)["state"] == "read"


def test_the_platforms_own_switch_is_obeyed(webhook: WebhookProcess, ledger: Any) -> None:
    [person] = add_people(ledger, 1)

    def switch(value: str, at: int) -> int:
        told = {
            "wa_id": "32470000000",
            "category": "marketing_messages",
            "value": value,
            "timestamp": str(at),
        }
        return webhook.post(json.dumps({"entry": [{"changes": [{"value": {"user_preferences": [told]}}]}]}))

    def reasons() -> list[str]:
        return [row["reason"] for row in ledger.execute("select reason from suppression")]

    assert switch("stop", 1_795_000_000) == 200
    assert reasons() == ["platform_stop"]
    assert switch("resume", 1_795_000_100) == 200
    assert reasons() == ["opted_out"], "they had never said yes: only the flag is lifted"
    row = ledger.execute("select status from subscription where id = %s", (person,)).fetchone()
    assert row["status"] == "unsubscribed"


def test_a_reply_may_be_here_before_the_gateways_own_answer(webhook: WebhookProcess, ledger: Any) -> None:
    sent_at = datetime(2026, 11, 22, 10, 29, tzinfo=UTC)
    [reference] = add_messages(
        ledger, add_campaign(ledger), add_people(ledger, 1), state="sending", sent_at=sent_at
    )
    assert webhook.post(reply("Wanneer zijn jullie open?"), f"/{SECRET}/inbound") == 200
    assert message(ledger, reference)["replied_at"] is not None
    assert webhook.post(status(reference, "0")) == 200
    linked = ledger.execute("select reference from inbound_message").fetchone()
    assert linked["reference"] == reference


def test_strangers_get_nothing(webhook: WebhookProcess, ledger: Any) -> None:
    [reference] = add_messages(ledger, add_campaign(ledger), add_people(ledger, 1))
    for path in (
        "/",
        "/status",
        f"/{SECRET}",
        f"/{SECRET}/",
        f"/{SECRET}x/status",
        f"/{SECRET}/other",
        "//status",
    ):
        assert webhook.post(status(reference), path) == 404
        assert webhook.get(path) == 404
    assert webhook._request("DELETE", f"/{SECRET}/status") == 405
    assert (message(ledger, reference)["state"], count(ledger, "set_aside")) == ("accepted", 0)


def test_what_can_never_be_taken_is_set_aside_and_not_asked_for_again(
    ledger: Any, webhook: WebhookProcess
) -> None:
    assert webhook.post(status("202611c999s1a1")) == 200
    assert webhook.post("nonsense with 0031612345678") == 200
    assert webhook.post(b"\x00" * 1000) == 200
    assert webhook.post(b"x" * 10_000_000) == 200
    assert webhook.post('{"messages":{"msg":{"reference":"a\\u0000b","status":{"code":"2"}}}}') == 200
    assert webhook.post(reply("a\x00b \ud83d", media=[[[["x"] * 5]]])) == 200
    assert webhook.post(status("9" * 100_000)) == 200
    rows = ledger.execute("select kind, reason, body from set_aside").fetchall()
    assert {row["reason"] for row in rows} == {
        "unknown_reference",
        "foreign_reference",
        "not_json",
        "body_too_large",
    }
    assert not any("612345678" in (row["body"] or "") for row in rows)
    assert "612345678" not in webhook.output()


def test_a_slow_sender_is_let_go_and_others_are_served_meanwhile(
    webhook: WebhookProcess, ledger: Any
) -> None:
    [reference] = add_messages(ledger, add_campaign(ledger), add_people(ledger, 1))
    head = f"POST /{SECRET}/status HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n".encode()
    slow = [socket.create_connection(("127.0.0.1", webhook.port), timeout=30) for _ in range(50)]
    silent = [socket.create_connection(("127.0.0.1", webhook.port), timeout=30) for _ in range(50)]
    for client in slow:
        client.sendall(head + b"{")
    started = time.monotonic()
    assert webhook.post(status(reference)) == 200
    assert time.monotonic() - started < 2
    for _ in range(3):
        time.sleep(2)
        for client in slow:
            client.sendall(b" ")  # a byte now and then does not buy time
    assert all(client.recv(100).startswith(b"HTTP/1.1 408") for client in slow)
    assert all(client.recv(100) == b"" for client in silent), "nothing was asked for: closed"
    for client in slow + silent:
        client.close()


def test_every_acknowledged_event_survives_a_kill(conn: Any, migrated_database: str) -> None:
    references = add_messages(conn, add_campaign(conn), add_people(conn, 3000))
    with running_webhook(migrated_database) as webhook:

        def post(reference: str) -> bool:
            try:
                return webhook.post(status(reference)) == 200
            except OSError:
                return False

        with ThreadPoolExecutor(24) as pool:
            answers = [pool.submit(post, reference) for reference in references]
            while sum(answer.done() for answer in answers) < 800:
                time.sleep(0.01)
            webhook.kill()
            acknowledged = {
                reference for reference, answer in zip(references, answers, strict=True) if answer.result()
            }
    assert 500 < len(acknowledged) < 3000
    delivered = {
        row["reference"]
        for row in conn.execute("select reference from campaign_message where state = 'delivered'")
    }
    assert acknowledged <= delivered


def test_without_the_database_nothing_is_acknowledged_and_afterwards_all_is_well(
    conn: Any, postgres: Any, migrated_database: str
) -> None:
    [reference] = add_messages(conn, add_campaign(conn), add_people(conn, 1))
    name = migrated_database.rsplit("/", 1)[1]
    with running_webhook(migrated_database) as webhook:
        assert webhook.post(status(reference, "0")) == 200
        admin = connect(migrated_database.rsplit("/", 1)[0] + "/postgres")
        admin.autocommit = True
        admin.execute(f"alter database {name} allow_connections false")
        conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'whatsapp webhook'"
        )
        assert {webhook.post(status(reference)) for _ in range(3)} == {503}
        assert message(conn, reference)["state"] == "accepted"
        admin.execute(f"alter database {name} allow_connections true")
        admin.close()
        assert webhook.post(status(reference)) == 200
        assert message(conn, reference)["state"] == "delivered"


def test_a_pending_migration_is_no_reason_to_lose_anything(conn: Any, migrated_database: str) -> None:
    conn.execute("update alembic_version set version_num = 'ffff'")
    with running_webhook(migrated_database) as webhook:
        assert webhook.post(status("202611c1s1a1")) == 503
        assert count(conn, "set_aside") == 0


def test_stopping_commits_what_is_waiting(conn: Any, migrated_database: str) -> None:
    references = add_messages(conn, add_campaign(conn), add_people(conn, 200))
    with running_webhook(migrated_database) as webhook, ThreadPoolExecutor(50) as pool:
        conn.autocommit = False
        conn.execute("select from campaign_message for update")  # the writer has to wait
        answers = [pool.submit(webhook.post, status(reference)) for reference in references[:50]]
        time.sleep(1)
        webhook.process.terminate()
        time.sleep(0.5)
        conn.commit()
        assert {answer.result() for answer in answers} == {200}
    assert count(conn, "campaign_message where state = 'delivered'") == 50
