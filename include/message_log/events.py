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

from include.campaigns import reference as references
from include.database import LongStatement, named_sql
from include.inbound.answers import apply_statuses, is_answer
from include.message_log.codes import STOPPED, UNDELIVERABLE
from include.message_log.redact import redact
from include.subscriptions.platform import platform_stop

SQL = named_sql(__file__)
APPLY_EVENTS = LongStatement.of(SQL.apply_events)
Status = Literal["accepted", "rejected", "delivered", "failed", "read"]
CHUNK = 5_000
ANSWERS = "answer"
_NOT_OURS: tuple[None, None, None, None] = (None, None, None, None)


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
        if event.reference.startswith(ANSWERS) and _is_of_an_answer(conn, event, entities):
            applied += Applied(received=1, known=1)
            continue
        chunk.append(event)
        if len(chunk) == CHUNK:
            applied += _apply(conn, chunk, entities, now)
            chunk = []
    return applied + _apply(conn, chunk, entities, now) if chunk else applied


def is_one_statement(event: StatusEvent) -> bool:
    """Whether `apply_events` does all that an event entails in its one statement, so that it needs no transaction."""
    return event.error_code not in STOPPED and not event.reference.startswith(ANSWERS)


def _is_of_an_answer(conn: psycopg.Connection[Any], event: StatusEvent, entities: Sequence[str]) -> bool:
    """Whether a status speaks of an automatic answer, which has then been told. Rare, so one by one."""
    if not is_answer(event.reference):
        return False
    return bool(apply_statuses(conn, [(event.reference, event.status, event.error_code)], entities=entities))


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
    columns = zip(*[_row(event) for event in events], strict=True)
    parameters: dict[str, Any] = {name: _array(column) for name, column in zip(COLUMNS, columns, strict=True)}
    parameters |= {
        "entities": list(entities),
        "now": now,
        "undeliverable_codes": list(UNDELIVERABLE),
        "stop_codes": list(STOPPED),
    }
    counts = APPLY_EVENTS.row(conn, parameters)
    assert counts is not None  # noqa: S101 - it is one row of counts
    stops = counts.pop("stops")
    for stop in stops:
        _platform_stop(conn, stop)
    return Applied(**counts, stopped=len(stops))


COLUMNS = (
    "refs",
    "months",
    "campaigns",
    "people",
    "attempts",
    "statuses",
    "codes",
    "texts",
    "times",
    "raws",
    "sources",
    "prices",
    "currencies",
    "countries",
)


def _row(event: StatusEvent) -> tuple[str | None, ...]:
    """An event as elements of PostgreSQL's array literals, in the order of COLUMNS; what may be anything is quoted."""
    key = references.parse(event.reference)
    month, campaign, person, attempt = map(str, key) if key else _NOT_OURS
    return (
        event.reference if key else _quoted(redact(event.reference, 64)),
        month,
        campaign,
        person,
        attempt,
        event.status,
        None if event.error_code is None else str(event.error_code),
        _quoted(redact(event.error_text)) if event.error_text else None,
        event.occurred_at.isoformat(),
        _quoted(event.received_raw),
        event.source,
        None if event.price is None else str(event.price),
        _quoted(event.currency),
        _quoted(event.country),
    )


def _quoted(text: str | None) -> str | None:
    return None if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(elements: Iterable[str | None]) -> str:
    # Written here, for psycopg turns a list into an array element by element in Python: 13 µs an event instead of 4.
    # One JSON text would be as cheap, but json_to_recordset takes 24 µs a row where unnest takes 2 (PostgreSQL 18).
    return "{" + ",".join(["NULL" if each is None else each for each in elements]) + "}"


def _platform_stop(conn: psycopg.Connection[Any], stop: dict[str, Any]) -> None:
    """Meta's own stop, kept apart from a person's words: its suppression outlasts a later yes given elsewhere."""
    platform_stop(
        conn,
        entity=stop["entity"],
        subscription_id=stop["subscription_id"],
        occurred_at=datetime.fromisoformat(stop["occurred_at"]),
        source="whatsapp",
        source_record_id=stop["reference"],
    )
