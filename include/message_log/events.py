"""One idempotent way in for every status, whoever tells it and how often."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Self

import msgspec
import psycopg
from psycopg.errors import DeadlockDetected, SerializationFailure
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from include import subscriptions
from include.campaigns import reference as references
from include.database import named_sql
from include.message_log.codes import STOPPED, UNDELIVERABLE
from include.message_log.redact import redact

SQL = named_sql(__file__)
Status = Literal["accepted", "rejected", "delivered", "failed", "read"]
CHUNK = 5_000
# Two campaigns in a row that could not be delivered, with nothing delivered between: one 131026 proves little.
UNREACHABLE_AFTER = 2
_NOT_OURS = (None, None, None, None)


class StatusEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One status of one message. `occurred_at` is aware; `received_raw` is the provider's own text of it.

    `error_code` is CM.com's number (51 … for WhatsApp) or, where it has none, Meta's. Price and country are the log's.
    """

    reference: str
    status: Status
    occurred_at: datetime
    source: Literal["send", "webhook", "log"]
    error_code: int | None = None
    error_text: str | None = None
    received_raw: str | None = None
    price: Decimal | None = None
    currency: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of events: `received` = `known` + those of no message of ours; `recorded` are new, the rest repeats.

    `changed` counts ledger rows, `reachability` people, `set_aside` references not seen before, `stopped` people who
    switched off marketing in WhatsApp itself.
    """

    received: int = 0
    known: int = 0
    recorded: int = 0
    changed: int = 0
    reachability: int = 0
    set_aside: int = 0
    stopped: int = 0

    @property
    def unknown(self) -> int:
        """Events of no message of ours."""
        return self.received - self.known

    def __add__(self, other: Self) -> Applied:
        return Applied(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Applied)))


def apply_events(
    conn: psycopg.Connection[Any], events: Iterable[StatusEvent], *, entities: Sequence[str], now: datetime
) -> Applied:
    """Record events and move the ledger rows they speak of, in the caller's transaction.

    `entities`: whose messages the teller may speak of, at least one; what belongs to nobody of them is set aside under
    the first. Safe to call with the same events again, in any order, late, from several processes at once. On a
    deadlock with the sender (psycopg.errors.DeadlockDetected) roll back and call again.
    """
    applied = Applied()
    chunk: list[StatusEvent] = []
    for event in events:
        chunk.append(event)
        if len(chunk) == CHUNK:
            applied += _apply(conn, chunk, entities, now)
            chunk = []
    return applied + _apply(conn, chunk, entities, now) if chunk else applied


@retry(
    retry=retry_if_exception_type((DeadlockDetected, SerializationFailure)),
    stop=stop_after_attempt(5),
    wait=wait_random_exponential(multiplier=0.05, max=1),
    reraise=True,
)
def commit_events(
    conn: psycopg.Connection[Any], events: Sequence[StatusEvent], *, entities: Sequence[str], now: datetime
) -> Applied:
    """`apply_events` in a transaction of its own, again when it and a sender waited for each other."""
    with conn.transaction():
        return apply_events(conn, events, entities=entities, now=now)


def _apply(
    conn: psycopg.Connection[Any], events: list[StatusEvent], entities: Sequence[str], now: datetime
) -> Applied:
    counts = SQL.apply_events(
        conn,
        # One JSON text: psycopg turns lists into arrays value by value in Python, which took three times as long.
        events=_encode([_row(event) for event in events]).decode(),
        entities=list(entities),
        now=now,
        undeliverable_codes=list(UNDELIVERABLE),
        unreachable_after=UNREACHABLE_AFTER,
        stop_codes=list(STOPPED),
    )
    stops = counts.pop("stops")
    for stop in stops:
        _platform_stop(conn, stop)
    return Applied(**counts, stopped=len(stops))


class _Row(msgspec.Struct, gc=False, omit_defaults=True):
    """An event as `apply_events` reads it; the ledger row's key is missing where the reference is not ours."""

    reference: str
    status: str
    occurred_at: datetime
    source: str
    month: int | None = None
    campaign_id: int | None = None
    subscription_id: int | None = None
    attempt: int | None = None
    error_code: int | None = None
    error_text: str | None = None
    received_raw: str | None = None
    price: Decimal | None = None
    currency: str | None = None
    country: str | None = None


_encode = msgspec.json.Encoder().encode


def _row(event: StatusEvent) -> _Row:
    key = references.parse(event.reference)
    month, campaign_id, subscription_id, attempt = key or _NOT_OURS
    return _Row(
        event.reference if key else redact(event.reference, 64),
        event.status,
        event.occurred_at,
        event.source,
        month=month,
        campaign_id=campaign_id,
        subscription_id=subscription_id,
        attempt=attempt,
        error_code=event.error_code,
        error_text=redact(event.error_text) if event.error_text else None,
        received_raw=event.received_raw,
        price=event.price,
        currency=event.currency,
        country=event.country,
    )


def _platform_stop(conn: psycopg.Connection[Any], stop: dict[str, Any]) -> None:
    """Meta's own stop, kept apart from a person's words: its suppression outlasts a later yes given elsewhere."""
    subscriptions.withdraw(
        conn,
        entity=stop["entity"],
        subscription_id=stop["subscription_id"],
        occurred_at=datetime.fromisoformat(stop["occurred_at"]),
        source="whatsapp",
        source_record_id=stop["reference"],
        method="platform_stop",
        reason="platform_stop",
    )
