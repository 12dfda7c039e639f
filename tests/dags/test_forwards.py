"""Replies sent on through Airflow's own connections: SMTP to a real server (aiosmtpd), and a signed post."""

from __future__ import annotations

import email
import email.policy
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

from include.database import connect
from include.entities import Entity
from include.entities.models import Forward
from include.inbound import forward_due, from_webhook, record_inbound
from tests.message_log.ledger import add_campaign, add_messages, add_people
from tests.support.json_api import Answer, json_api
from tests.support.optins import entity, source
from tests.support.webhook import free_port

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore:Requiring AUTH")]
ROOT = Path(__file__).parents[2]
USER, PASSWORD = "desk", "correct horse"


class Mailbox:
    """What the mail server took; `busy` makes it refuse everything for now (RFC 5321: 451)."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.busy = False

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        if self.busy:
            return "451 come back later"
        self.envelopes.append(envelope)
        return "250 taken"

    @property
    def mails(self) -> list[EmailMessage]:
        read = [
            email.message_from_bytes(cast("bytes", each.content), policy=email.policy.default)
            for each in self.envelopes
        ]
        return [mail for mail in read if isinstance(mail, EmailMessage)]


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: Any, data: Any) -> AuthResult:
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    port = free_port()
    server = Controller(
        box, hostname="127.0.0.1", port=port, authenticator=check, auth_required=True, auth_require_tls=False
    )
    server.start()
    yield box, port
    server.stop()


def brand(*forwards: Forward) -> Entity:
    return entity(source(), forwards=forwards)


def send_on(dsn: str, to: Entity, monkeypatch: pytest.MonkeyPatch, minutes: int = 1) -> dict[str, int]:
    monkeypatch.syspath_prepend(ROOT / "dags")
    from wiring.forwards import forwarders

    return dict(forward_due(to, forwarders(to), dsn=dsn, now=datetime.now(UTC) + timedelta(minutes=minutes)))


def write(dsn: str, to: Entity, text: str) -> None:
    with connect(dsn) as conn:
        people = add_people(conn, 1, entity="brand")
        campaign = add_campaign(conn, entity="brand")
        conn.execute("update campaign set name = E'Spring\\nBcc: evil@example.org'")
        [reference] = add_messages(conn, campaign, people, sent_at=datetime.now(UTC) - timedelta(hours=1))
        document = {"from": {"number": "+32470000000"}, "message": {"text": text}, "reference": reference}
        message = from_webhook(document, now=datetime.now(UTC))
        record_inbound(conn, [message], entities=[to], suppression_key=None)


def smtp_connection(monkeypatch: pytest.MonkeyPatch, port: int, password: str = PASSWORD) -> None:
    extra = {
        "from_email": "whatsapp@brand.example",
        "disable_ssl": True,
        "disable_tls": True,
        "retry_limit": 1,
    }
    fields = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "login": USER, "password": password}
    monkeypatch.setenv("AIRFLOW_CONN_DESK", json.dumps({**fields, "extra": extra}))


def test_a_reply_arrives_as_one_mail(
    airflow_in_this_process: None,
    migrated_database: str,
    mailbox: tuple[Mailbox, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    box, port = mailbox
    smtp_connection(monkeypatch, port)
    to = brand(Forward(name="mail", connection="desk", to=("a@brand.example", "b@brand.example")))
    write(migrated_database, to, "Merci <b>à vous</b>\nBcc: evil@example.org")
    box.busy = True
    assert send_on(migrated_database, to, monkeypatch) == {"again": 1}
    box.busy = False
    assert send_on(migrated_database, to, monkeypatch) == {}, "not at once"
    assert send_on(migrated_database, to, monkeypatch, minutes=5) == {"done": 1}
    [mail] = box.mails
    assert mail["subject"] == "Brand: WhatsApp reply to Spring Bcc: evil@example.org"
    assert mail["bcc"] is None
    assert box.envelopes[0].rcpt_tos == ["a@brand.example", "b@brand.example"]
    body = mail.get_body(("html",))
    assert body is not None
    assert "Merci &lt;b&gt;à vous&lt;/b&gt;" in body.get_content()
    assert "+32470000000" not in str(mail["subject"])


def test_a_wrong_password_waits_and_is_said(
    airflow_in_this_process: None,
    migrated_database: str,
    mailbox: tuple[Mailbox, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    box, port = mailbox
    smtp_connection(monkeypatch, port, password="wrong")
    to = brand(Forward(name="mail", connection="desk", to=("a@brand.example",)))
    write(migrated_database, to, "Hallo")
    assert send_on(migrated_database, to, monkeypatch) == {"again": 1}
    with connect(migrated_database) as conn:
        row = conn.execute("select problem from reply_outbox").fetchone()
    assert row is not None
    assert row["problem"] == "SMTPAuthenticationError"
    assert box.envelopes == []


def test_a_url_is_posted_to_and_signed_with_the_connections_password(
    airflow_in_this_process: None, migrated_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = brand(Forward(name="hook", connection="hook"))
    write(migrated_database, to, "Hallo")
    with json_api(lambda _, __: Answer({})) as api:
        fields = {"conn_type": "http", "host": api.url, "password": PASSWORD, "extra": {"path": "/in"}}
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps(fields))
        assert send_on(migrated_database, to, monkeypatch) == {"done": 1}
        [request] = api.requests
    signed = request.headers["X-Timestamp"].encode() + b"." + request.body
    expected = hmac.new(PASSWORD.encode(), signed, hashlib.sha256).hexdigest()
    assert (request.path, request.headers["X-Signature"]) == ("/in", f"sha256={expected}")
