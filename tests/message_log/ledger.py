"""A small ledger to send statuses to: one campaign, one row per state asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

MONTH = 202611
SENT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def add_campaign(conn: psycopg.Connection[Any], *, entity: str = "acme", month: int = MONTH) -> int:
    """A campaign that is sending. Returns its id."""
    conn.execute("select ensure_month(%s)", (month,))
    row = conn.execute(
        """insert into campaign (entity, name, run_key, connection_id, month, parameters, parameters_hash, state,
                                 created_at)
           values (%s, 'spring', 'run-' || gen_random_uuid(), 'cm_com_' || %s::text, %s, '{}', 'x', 'sending', %s)
           returning id""",
        (entity, entity, month, SENT - timedelta(days=3)),
    ).fetchone()
    return next(iter(row.values())) if isinstance(row, dict) else row[0]  # type: ignore[index]


def add_people(
    conn: psycopg.Connection[Any], count: int, *, entity: str = "acme", first: int = 470000000
) -> list[int]:
    """People with Belgian mobile numbers +32470000000 and on. Returns their ids in that order."""
    rows = conn.execute(
        """insert into subscription (entity, phone, match_key, status, country, person_hash)
           select %s, '+32' || (%s + n), '+32' || (%s + n), 'subscribed', 'BE',
                  sha256(convert_to('+32' || (%s + n), 'UTF8'))
           from generate_series(0, %s - 1) n returning id""",
        (entity, first, first, first, count),
    ).fetchall()
    return sorted(next(iter(row.values())) if isinstance(row, dict) else row[0] for row in rows)


def add_messages(
    conn: psycopg.Connection[Any],
    campaign_id: int,
    people: list[int],
    *,
    state: str = "accepted",
    month: int = MONTH,
    sent_at: datetime = SENT,
) -> list[str]:
    """One ledger row per person. Returns their references in the order of `people`."""
    accepted = sent_at if state not in ("planned", "sending", "uncertain", "excluded", "expired") else None
    rows = conn.execute(
        """insert into campaign_message (month, campaign_id, subscription_id, state, reason, claimed_at, accepted_at)
           select %s, %s, person, %s, case when %s = 'excluded' then 'opted_out' end,
                  case when %s <> 'planned' then %s::timestamptz end, %s
           from unnest(%s::bigint[]) person returning subscription_id, reference""",
        (month, campaign_id, state, state, state, sent_at, accepted, people),
    ).fetchall()
    pairs = {tuple(row.values() if isinstance(row, dict) else row) for row in rows}
    found = dict(pairs)
    return [found[person] for person in people]


def message(conn: psycopg.Connection[Any], reference: str) -> dict[str, Any]:
    """The ledger row of a reference."""
    found = conn.execute("select * from campaign_message where reference = %s", (reference,)).fetchone()
    assert isinstance(found, dict)
    return found
