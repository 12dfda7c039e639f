"""Send replies on: to e-mail or to a URL, signed. An outbox row per reply and place, at least once, with backoff."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec
import psycopg

from include.database import connect, named_sql, require_current
from include.entities import Entity
from include.entities.models import Forward
from include.inbound.words import plain

log = logging.getLogger(__name__)
SQL = named_sql(__file__)
TIMEOUT = httpx.Timeout(10.0)
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=6)
GIVE_UP_AFTER = timedelta(days=3)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A person's message as it is sent on. `id` is the same each time, so that whoever gets it can tell a repeat."""

    id: int
    entity: str
    kind: str
    number: str | None
    text: str | None
    payload: str | None
    media_uri: str | None
    occurred_at: datetime
    campaign: str | None
    reference: str | None


class ForwardFailed(Exception):
    """The place did not take the reply. The text says why and holds nothing of it."""


Forwarder = Callable[[Reply], None]
"""Sends one reply on; raises ForwardFailed."""


@dataclass(frozen=True, slots=True)
class WebhookForwarder:
    """POSTs JSON to a URL. `X-Signature` is `sha256=` and the HMAC of `X-Timestamp`, a dot and the body."""

    url: str
    secret: bytes
    now: Callable[[], datetime]

    def __call__(self, reply: Reply) -> None:
        """Send one reply. Raises ForwardFailed for anything but a 2xx answer."""
        body = msgspec.json.encode(reply)
        timestamp = str(int(self.now().timestamp()))
        signature = hmac.new(self.secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Timestamp": timestamp,
            "X-Signature": f"sha256={signature}",
            "Idempotency-Key": str(reply.id),
        }
        try:
            answer = httpx.post(
                self.url, content=body, headers=headers, timeout=TIMEOUT, follow_redirects=False
            )
        except httpx.HTTPError as error:
            raise ForwardFailed(type(error).__name__) from None
        if not answer.is_success:
            raise ForwardFailed(f"HTTP {answer.status_code}")


@dataclass(frozen=True, slots=True)
class EmailForwarder:
    """One e-mail a reply, by `send(subject, text)`, which raises OSError (smtplib's errors are) when it cannot."""

    send: Callable[[str, str], None]
    label: str

    def __call__(self, reply: Reply) -> None:
        """Send one reply. Raises ForwardFailed."""
        about = f" to {reply.campaign}" if reply.campaign else ""
        lines = [
            reply.text or "(no text)",
            "",
            *([f"Button: {reply.payload}"] if reply.payload else []),
            *([f"Media: {reply.media_uri}"] if reply.media_uri else []),
            f"From: {reply.number or 'unknown'}",
            f"Received: {reply.occurred_at:%Y-%m-%d %H:%M} UTC",
            f"Message: {reply.reference or 'none'}",
        ]
        try:
            # One line: what a campaign is called must not become a header of its own.
            self.send(" ".join(f"{self.label}: WhatsApp {reply.kind}{about}".split()), "\n".join(lines))
        except OSError as error:
            raise ForwardFailed(type(error).__name__) from None


def places_for(forwards: tuple[Forward, ...], *, kind: str, text: str, campaign: str | None) -> list[str]:
    """The names of the places that a reply goes to."""
    words = set(plain(text).split())
    return [
        forward.name
        for forward in forwards
        if kind in forward.kinds
        and (not forward.campaigns or campaign in forward.campaigns)
        and (not forward.words or any(set(plain(word).split()) <= words for word in forward.words))
    ]


def forward_due(
    entity: Entity, forwarders: Mapping[str, Forwarder], *, dsn: str, now: datetime, limit: int = 1_000
) -> Counter[str]:
    """Send on what is due, one transaction each. Counts `done`, `again` and `given_up`.

    A place that fails is tried again after 1, 2, 4 … minutes, at most 6 hours, for three days. `forwarders`: by the
    name in the entity's file; a place without one waits. Raises DatabaseUnavailable, SchemaOutOfDate.
    """
    counts: Counter[str] = Counter()
    with connect(dsn, application="whatsapp forwards") as conn:
        require_current(conn)
        conn.commit()
        while counts.total() < limit and (outcome := _forward_one(conn, entity, forwarders, now)):
            counts[outcome] += 1
    if counts:
        log.info("Replies of %s sent on: %s", entity.name, dict(counts))
    return counts


def _forward_one(
    conn: psycopg.Connection[Any], entity: Entity, forwarders: Mapping[str, Forwarder], now: datetime
) -> str | None:
    with conn.transaction():
        row = SQL.due(conn, entity=entity.name, forwards=list(forwarders), now=now)
        if row is None:
            return None
        attempts, created_at = row.pop("attempts") + 1, row.pop("created_at")
        inbound_id, forward = row.pop("inbound_id"), row.pop("forward")
        row.pop("campaign_id")
        problem = None
        try:
            forwarders[forward](Reply(id=inbound_id, entity=entity.name, **row))
        except ForwardFailed as failed:
            problem = str(failed)
        wait = min(FIRST_WAIT * 2 ** min(attempts - 1, 20), LONGEST_WAIT)
        outcome = "done" if problem is None else "again" if now - created_at < GIVE_UP_AFTER else "given_up"
        SQL.forwarded(
            conn,
            inbound_id=inbound_id,
            forward=forward,
            state="due" if outcome == "again" else outcome,
            attempts=attempts,
            next_attempt_at=now + wait,
            problem=problem,
            done_at=now if outcome == "done" else None,
        )
        return outcome
