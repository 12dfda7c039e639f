"""WhatsApp's own switch for marketing messages, kept apart from what people say themselves (whatsapp_rules.md B.7).

A stop there is a withdrawal whose suppression outlasts a yes given elsewhere; a resume lifts that and nothing else: who
said STOP in words, or anywhere else, stays unsubscribed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import psycopg

from include.database import named_sql
from include.subscriptions.ledger import queries as ledger
from include.subscriptions.ledger import withdraw
from include.subscriptions.projection import project_people

queries = named_sql(__file__, "platform.sql")
STOP, RESUME = "platform_stop", "platform_resume"


def platform_stop(
    conn: psycopg.Connection[Any],
    *,
    entity: str,
    subscription_id: int,
    occurred_at: datetime,
    source: str,
    source_record_id: str,
) -> int | None:
    """The person switched off marketing in WhatsApp. As `withdraw`."""
    return withdraw(
        conn,
        entity=entity,
        subscription_id=subscription_id,
        occurred_at=occurred_at,
        source=source,
        source_record_id=source_record_id,
        method=STOP,
        reason=STOP,
    )


def platform_resume(
    conn: psycopg.Connection[Any],
    *,
    entity: str,
    subscription_id: int,
    occurred_at: datetime,
    source: str,
    source_record_id: str,
) -> Literal["subscribed", "flag", "nothing"]:
    """The person switched marketing on again in WhatsApp, in the caller's transaction; safe to repeat.

    `subscribed`: what they had agreed to before holds again, with the proof of that yes. `flag`: only the platform's
    stop is lifted, for their own last word was a no. `nothing`: there was no such stop, or a newer one.
    """
    person = ledger.lock_person(conn, subscription_id=subscription_id, entity=entity)
    if person is None or not queries.stopped(conn, subscription_id=person, occurred_at=occurred_at):
        return "nothing"
    queries.lower_flag(conn, subscription_id=person)
    word = queries.own_word(conn, subscription_id=person)
    if word is None or word["action"] not in ("grant", "confirm"):
        return "flag"
    ledger.add_event(
        conn,
        subscription_id=person,
        action="confirm",
        occurred_at=occurred_at,
        source=source,
        source_record_id=source_record_id,
        collection_point=word["collection_point"],
        method=RESUME,
        wording_id=word["wording_id"],
        wording_language=word["wording_language"],
        actor=None,
    )
    project_people(conn, entity, [person], now=occurred_at)
    return "subscribed"
