"""A ledger written straight by SQL: people of an entity and one campaign with the given outcomes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

START = datetime(2026, 10, 5, 9, 0, tzinfo=UTC)
MONTH = 202610
COUNTRIES = ("BE", "NL", "FR", "DE")


def add_campaign(
    conn: psycopg.Connection[Any],
    *,
    entity: str = "acme",
    name: str = "Spring sale",
    outcomes: list[dict[str, Any]],
    state: str = "settled",
    target: int | None = None,
) -> int:
    """Write one person and one ledger row per outcome, commit, and return the campaign's id.

    An outcome has columns of campaign_message, `phone`, and times as minutes after START (`delivered=1`).
    """
    conn.execute("select ensure_month(%s)", [MONTH])
    campaign = conn.execute(
        """insert into campaign (entity, name, run_key, connection_id, month, parameters, parameters_hash,
                                 state, target, created_at, started_at)
           values (%s, %s, %s, 'cm_com_acme', %s, %s, 'x', %s, %s, %s, %s) returning id""",
        [
            entity,
            name,
            f"run-{entity}-{name}",
            MONTH,
            json.dumps({"name": name, "template": "spring_sale", "category": "marketing"}),
            state,
            len(outcomes) if target is None else target,
            START - timedelta(hours=1),
            START,
        ],
    ).fetchone()
    campaign_id: int = campaign["id"]
    for number, outcome in enumerate(outcomes):
        _add_person(conn, campaign_id, entity, number, dict(outcome))
    conn.commit()
    return campaign_id


def many(count: int, **outcome: Any) -> list[dict[str, Any]]:
    """The same outcome for several people."""
    return [outcome] * count


def small_campaign() -> list[dict[str, Any]]:
    """25 people: every state, several reasons; the figures are worked out in test_funnel.py."""
    return [
        *many(3, state="excluded", reason="opted_out"),
        *many(2, state="excluded", reason="no_consent"),
        *many(1, state="rejected", error_source="gateway", error_code=303),
        *many(1, state="uncertain"),
        *many(1, state="expired", reason="window"),
        *many(2, state="accepted", accepted=0),
        *many(2, state="failed", accepted=0, failed=1, error_source="status", error_code=59),
        *many(1, state="failed", accepted=0, failed=2, error_source="status", error_code=131049),
        *many(4, state="delivered", accepted=0, delivered=1),
        *many(5, state="read", accepted=0, delivered=1, read=30),
        *many(1, state="read", accepted=0, delivered=1, read=30, replied=60),
        *many(1, state="read", accepted=0, delivered=1, read=30, replied=60 * 24 * 4),
        *many(1, state="read", accepted=0, delivered=1, read=90, replied=95, opted_out=95),
    ]


def _add_person(
    conn: psycopg.Connection[Any], campaign_id: int, entity: str, number: int, outcome: dict[str, Any]
) -> None:
    country = outcome.pop("country", COUNTRIES[number % len(COUNTRIES)])
    phone = outcome.pop("phone", f"+32470{campaign_id % 100:02d}{number:04d}")
    for minutes in ("accepted", "delivered", "read", "failed", "replied", "clicked", "opted_out"):
        if minutes in outcome:
            outcome[f"{minutes}_at"] = START + timedelta(minutes=outcome.pop(minutes))
    person = conn.execute(
        """insert into subscription (entity, phone, match_key, person_hash, status, country, language)
           values (%s, %s, %s, sha256(convert_to(%s, 'UTF8')), 'subscribed', %s, 'en') returning id""",
        [entity, phone, phone.lstrip("+"), phone, country],
    ).fetchone()
    consent = conn.execute(
        """insert into consent_event (subscription_id, action, occurred_at, source, source_record_id,
                                      collection_point, method, wording_id, wording_language)
           values (%s, 'grant', %s, 'webshop', %s, 'checkout', 'checkbox', 'signup-2026-01', 'en')
           returning id""",
        [person["id"], START - timedelta(days=30), f"customer-{number}"],
    ).fetchone()
    row = {
        "month": MONTH,
        "campaign_id": campaign_id,
        "subscription_id": person["id"],
        "country": country,
        "language": "en",
        "consent_event_id": consent["id"],
        **outcome,
    }
    columns = ", ".join(row)
    values = ", ".join(f"%({name})s" for name in row)
    conn.execute(f"insert into campaign_message ({columns}) values ({values})", row)  # noqa: S608 - our own names
