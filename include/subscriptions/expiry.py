"""The end of a yes: nobody confirmed it, or the person has not been heard of for too long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg

from include.database import connect, named_sql, require_current
from include.entities import Entity
from include.subscriptions.projection import project_people

queries = named_sql(__file__, "expiry.sql")
BATCH = 20_000  # people whose rows are locked at a time


def expire_unconfirmed(entity: Entity, *, dsn: str, now: datetime) -> int:
    """Expire the yes of people who were asked to confirm it and have not; returns how many. Safe to repeat.

    Counted from when they were asked, by our clock; who could not be asked expires as long after we heard of them.
    """
    choice = entity.settings.double_opt_in
    if choice is None:
        return 0
    with connect(dsn, application="whatsapp expiry") as conn:
        require_current(conn)
        found = queries.unconfirmed(conn, entity=entity.name, now=now, days=choice.within_days)
        return _expire(conn, entity, [row["id"] for row in found], now, method="not_confirmed")


def expire_inactive(entity: Entity, *, dsn: str, now: datetime) -> int:
    """Expire the yes of people who have not said yes, written or clicked for the entity's `inactive_person_days` (C12).

    Returns how many. A newer yes, by any source or by a START word, lifts it. Safe to repeat.
    """
    before = now - timedelta(days=entity.settings.retention.inactive_person_days)
    with connect(dsn, application="whatsapp expiry") as conn:
        require_current(conn)
        found = queries.inactive(conn, entity=entity.name, before=before)
        return _expire(conn, entity, [row["id"] for row in found], now, method="inactive")


def _expire(
    conn: psycopg.Connection[Any], entity: Entity, people: Sequence[int], now: datetime, *, method: str
) -> int:
    expired = 0
    for first in range(0, len(people), BATCH):
        batch = people[first : first + BATCH]
        expired += queries.add_expiries(conn, people=batch, now=now, method=method)
        project_people(conn, entity.name, batch, now=now)
        conn.commit()
    return expired
