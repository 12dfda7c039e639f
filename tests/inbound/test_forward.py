"""Replies sent on: to a real HTTP server and a real SMTP server, filtered, signed, again after a failure."""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from include.database import connect
from include.entities import Entity
from include.entities.models import Forward
from include.inbound import EmailForwarder, WebhookForwarder, forward_due, from_webhook, record_inbound
from include.inbound.forward import GIVE_UP_AFTER, places_for
from tests.message_log.ledger import SENT, add_campaign, add_messages, add_people
from tests.support.optins import entity, source

NOW = SENT + timedelta(hours=2)
SECRET = b"shared with whoever takes the replies"


def brand(*forwards: Forward) -> Entity:
    return entity(source(), forwards=forwards)


class Place:
    """A URL that answers what it is told to and remembers what it got."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        place = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                place.got.append((dict(self.headers), body))
                self.send_response(place.answers.pop(0) if place.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.forwarder = WebhookForwarder(
            f"http://127.0.0.1:{self.server.server_port}/in", SECRET, now=lambda: NOW
        )


@pytest.fixture
def place() -> Iterator[Place]:
    found = Place()
    yield found
    found.server.shutdown()
    found.server.server_close()


def write(dsn: str, to: Entity, text: str, *, number: str = "+32470000000", reference: str = "") -> None:
    document = {
        "from": {"number": number},
        "message": {"text": text},
        "reference": reference,
        "timeUtc": (SENT + timedelta(hours=1)).isoformat(),
    }
    with connect(dsn) as conn:
        record_inbound(conn, [from_webhook(document, now=NOW)], entities=[to], suppression_key=None)


def outbox(dsn: str) -> list[dict[str, Any]]:
    with connect(dsn) as conn:
        return conn.execute(
            "select forward, state, attempts, problem, next_attempt_at from reply_outbox order by inbound_id, forward"
        ).fetchall()


def test_a_reply_goes_to_its_place_once_signed_and_with_its_campaign(
    migrated_database: str, place: Place
) -> None:
    to = brand(Forward(name="desk", connection="desk"))
    with connect(migrated_database) as conn:
        people = add_people(conn, 1, entity="brand")
        [reference] = add_messages(conn, add_campaign(conn, entity="brand"), people)
        conn.commit()
    write(migrated_database, to, "Hoi, is het nog te koop?", reference=reference)
    write(migrated_database, to, "Hoi, is het nog te koop?", reference=reference)
    write(migrated_database, to, "STOP", reference=reference)
    assert forward_due(to, {"desk": place.forwarder}, dsn=migrated_database, now=NOW) == {"done": 1}
    assert forward_due(to, {"desk": place.forwarder}, dsn=migrated_database, now=NOW) == {}
    [(headers, body)] = place.got
    signed = hmac.new(SECRET, headers["X-Timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Signature"] == f"sha256={signed}"
    assert {key: value for key, value in json.loads(body).items() if key != "id"} == {
        "entity": "brand",
        "kind": "reply",
        "number": "+32470000000",
        "text": "Hoi, is het nog te koop?",
        "payload": None,
        "media_uri": None,
        "occurred_at": "2026-11-22T10:00:00Z",
        "campaign": "spring",
        "reference": reference,
    }


def test_a_place_that_fails_is_tried_again_ever_later_and_given_up_in_the_end(
    migrated_database: str, place: Place
) -> None:
    to = brand(Forward(name="desk", connection="desk"))
    place.answers = [500, 503, 404, 500]

    def attempt(now: datetime) -> dict[str, int]:
        return dict(forward_due(to, {"desk": place.forwarder}, dsn=migrated_database, now=now))

    write(migrated_database, to, "Een vraag", number="+32470999999")
    with connect(migrated_database) as conn:
        conn.execute("update reply_outbox set created_at = %s, next_attempt_at = %s", (NOW, NOW))
        conn.commit()
    assert attempt(NOW) == {"again": 1}
    assert attempt(NOW + timedelta(seconds=59)) == {}
    assert attempt(NOW + timedelta(minutes=1)) == {"again": 1}
    assert attempt(NOW + timedelta(minutes=2)) == {}
    assert attempt(NOW + timedelta(minutes=3)) == {"again": 1}
    assert attempt(NOW + GIVE_UP_AFTER) == {"given_up": 1}
    [row] = outbox(migrated_database)
    assert (row["state"], row["attempts"], row["problem"]) == ("given_up", 4, "HTTP 500")
    assert len({headers["Idempotency-Key"] for headers, _ in place.got}) == 1
    place.server.shutdown()
    place.server.server_close()
    write(migrated_database, to, "Nog een", number="+32470999999")
    assert forward_due(to, {"desk": place.forwarder}, dsn=migrated_database, now=datetime.now(UTC)) == {
        "again": 1
    }
    assert outbox(migrated_database)[1]["problem"] == "ConnectError"


def test_a_reply_by_e_mail(migrated_database: str) -> None:
    to = brand(
        Forward(name="mail", connection="smtp", to=("desk@example.com",)),
        Forward(name="later", connection="x"),
    )
    with _smtp_server() as (port, mails):

        def send(subject: str, text: str) -> None:
            mail = EmailMessage()
            mail["Subject"], mail["From"], mail["To"] = subject, "a@example.com", "desk@example.com"
            mail.set_content(text)
            with smtplib.SMTP("127.0.0.1", port, timeout=10) as smtp:
                smtp.send_message(mail)

        write(migrated_database, to, "Merci à vous", number="+32470999999")
        forwarders = {"mail": EmailForwarder(send, "Brand")}
        now = datetime.now(UTC)
        assert forward_due(to, forwarders, dsn=migrated_database, now=now) == {"done": 1}
    assert "Subject: Brand: WhatsApp reply" in mails[0]
    assert "From: +32470999999" in mails[0]
    write(migrated_database, to, "Et encore", number="+32470999999")
    assert forward_due(to, forwarders, dsn=migrated_database, now=datetime.now(UTC)) == {"again": 1}
    assert [row["state"] for row in outbox(migrated_database)] == ["due", "done", "due", "due"]


@pytest.mark.parametrize(
    ("forward", "text", "goes"),
    [
        ({}, "anything", True),
        ({"kinds": ("stop",)}, "anything", False),
        ({"words": ("Rückgabe", "terug sturen")}, "Eine RUCKGABE bitte!", True),
        ({"words": ("terug sturen",)}, "kan ik dit sturen, terug?", True),
        ({"words": ("terug sturen",)}, "terug", False),
        ({"campaigns": ("spring",)}, "anything", True),
        ({"campaigns": ("autumn",)}, "anything", False),
    ],
)
def test_what_goes_where(forward: dict[str, Any], text: str, goes: object) -> None:
    forwards = (Forward(name="desk", connection="desk", **forward),)
    assert bool(places_for(forwards, kind="reply", text=text, campaign="spring")) is goes


class _smtp_server:  # noqa: N801  used as a context manager
    """As much of SMTP as one mail needs."""

    def __enter__(self) -> tuple[int, list[str]]:
        mails: list[str] = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 test\r\n")
                while line := self.rfile.readline():
                    word = line[:4].upper()
                    if word == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        text = b""
                        while (line := self.rfile.readline()) != b".\r\n":
                            text += line
                        mails.append(text.decode())
                    self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.server.server_address[1], mails

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
