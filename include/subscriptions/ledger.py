"""One person's yes or no from a door of our own: a reply, a button, the platform's stop, a service desk."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from include.database import named_sql
from include.subscriptions.projection import project_people

queries = named_sql(__file__, "ledger.sql")


def withdraw(
    conn: psycopg.Connection[Any],
    *,
    entity: str,
    subscription_id: int,
    occurred_at: datetime,
    source: str,
    source_record_id: str,
    method: str,
    actor: str | None = None,
    reason: str = "opted_out",
) -> int | None:
    """Record a "no" and all that follows at once: state, suppression, and word to every source that still says yes.

    In the caller's transaction. Returns the event's id, or None when the person is not of this entity or the event is
    known. `reason` is the suppression's; any but `opted_out` outlasts a later yes (an objection, a platform's stop).
    """
    return _record(
        conn,
        entity,
        reason,
        subscription_id=subscription_id,
        action="withdraw",
        occurred_at=occurred_at,
        source=source,
        source_record_id=source_record_id,
        collection_point=None,
        method=method,
        wording_id=None,
        wording_language=None,
        actor=actor,
    )


def grant(
    conn: psycopg.Connection[Any],
    *,
    entity: str,
    subscription_id: int,
    occurred_at: datetime,
    source: str,
    source_record_id: str,
    method: str,
    collection_point: str,
    wording_id: str,
    wording_language: str,
    actor: str | None = None,
) -> int | None:
    """Record a "yes" with its whole proof. It lifts the person's own earlier no, and nothing else.

    In the caller's transaction. Returns the event's id, or None as `withdraw` does.
    """
    return _record(
        conn,
        entity,
        "opted_out",
        subscription_id=subscription_id,
        action="grant",
        occurred_at=occurred_at,
        source=source,
        source_record_id=source_record_id,
        collection_point=collection_point,
        method=method,
        wording_id=wording_id,
        wording_language=wording_language,
        actor=actor,
    )


def confirm(
    conn: psycopg.Connection[Any],
    *,
    entity: str,
    subscription_id: int,
    occurred_at: datetime,
    source: str,
    source_record_id: str,
    method: str,
    only_pending: bool = False,
) -> int | None:
    """Record that a person confirmed their newest yes that needs it, with the wording they had agreed to there.

    In the caller's transaction. Returns the event's id, or None when there is no such yes, or the event is known. A yes
    that was too late counts, for it is the person's own. `only_pending`: nothing is recorded of anybody else.
    """
    person = queries.lock_person(conn, subscription_id=subscription_id, entity=entity)
    if person is None:
        return None
    event: int | None = queries.add_confirmation(
        conn,
        subscription_id=person,
        occurred_at=occurred_at,
        source=source,
        source_record_id=source_record_id,
        method=method,
        states=["pending"] if only_pending else None,
    )
    if event is not None:
        project_people(conn, entity, [person], now=occurred_at)
    return event


def _record(conn: psycopg.Connection[Any], entity: str, reason: str, **event: Any) -> int | None:
    person = queries.lock_person(conn, subscription_id=event["subscription_id"], entity=entity)
    if person is None:
        return None
    known: int | None = queries.add_event(conn, **event)
    if known is not None:
        project_people(conn, entity, [person], now=event["occurred_at"], reason=reason)
    return known
