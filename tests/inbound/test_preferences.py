"""WhatsApp's own switch: a stop there and a person's STOP are two things, and a resume lifts only the first."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.database import connect
from include.inbound import from_webhook, record_inbound
from include.inbound.preferences import read_preferences, record_preferences
from include.message_log import StatusEvent, apply_events
from tests.message_log.ledger import add_campaign, add_messages, add_people
from tests.support.optins import entity, source

BRAND = entity(source())
BEGIN = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
NUMBER = "32470000000"


def preference(value: str, hours: int, **more: Any) -> dict[str, Any]:
    """Meta's webhook, in the envelope of its Cloud API."""
    told = {
        "wa_id": NUMBER,
        "detail": "User requested to change marketing messages",
        "category": "marketing_messages",
        "value": value,
        "timestamp": str(int((BEGIN + timedelta(hours=hours)).timestamp())),
    }
    change = {"field": "user_preferences", "value": {"user_preferences": [told | more]}}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}


class Person:
    """One subscribed person and what happens to them, hour by hour."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        with connect(dsn) as conn:
            [self.id] = add_people(conn, 1, entity="brand")
            [self.reference] = add_messages(conn, add_campaign(conn, entity="brand"), [self.id])
            conn.execute(
                """insert into consent_event (subscription_id, action, occurred_at, source, source_record_id,
                   collection_point, method, wording_id, wording_language)
                   values (%s, 'grant', %s, 'shop', '1', 'checkout', 'checkbox', 'w1', 'nl')""",
                (self.id, BEGIN),
            )
            conn.commit()

    def switches(self, value: str, hours: int) -> dict[str, int]:
        found = read_preferences(preference(value, hours), now=BEGIN + timedelta(days=2))
        with connect(self.dsn) as conn:
            return dict(record_preferences(conn, found, entities=["brand"]))

    def fails_with_131050(self, hours: int) -> None:
        event = StatusEvent(
            reference=self.reference,
            status="failed",
            error_code=131050,
            occurred_at=BEGIN + timedelta(hours=hours),
            source="webhook",
        )
        with connect(self.dsn) as conn:
            apply_events(conn, [event], entities=["brand"], now=BEGIN + timedelta(days=2))

    def writes(self, text: str, hours: int) -> None:
        at = BEGIN + timedelta(hours=hours)
        document = {"from": {"number": f"+{NUMBER}"}, "message": {"text": text}, "timeUtc": at.isoformat()}
        with connect(self.dsn) as conn:
            record_inbound(conn, [from_webhook(document, now=at)], entities=[BRAND], suppression_key=None)

    @property
    def now(self) -> tuple[str, str | None]:
        with connect(self.dsn) as conn:
            row = conn.execute(
                """select s.status, x.reason from subscription s
                   left join suppression x on x.entity = s.entity and x.person_hash = s.person_hash"""
            ).fetchone()
        assert row is not None
        return row["status"], row["reason"]


@pytest.fixture
def person(migrated_database: str) -> Person:
    return Person(migrated_database)


def test_who_resumes_is_subscribed_again_with_the_proof_of_their_yes(person: Person) -> None:
    person.fails_with_131050(hours=2)
    assert person.now == ("unsubscribed", "platform_stop")
    assert person.switches("resume", hours=3) == {"subscribed": 1}
    assert person.now == ("subscribed", None)
    assert person.switches("resume", hours=3) == {"nothing": 1}, "repeated"
    with connect(person.dsn) as conn:
        proof = conn.execute(
            """select e.action, e.method, e.collection_point, e.wording_id from consent_event e
               join subscription s on s.consent_event_id = e.id"""
        ).fetchone()
    assert proof == {
        "action": "confirm",
        "method": "platform_resume",
        "collection_point": "checkout",
        "wording_id": "w1",
    }
    assert person.switches("stop", hours=4) == {"stopped": 1}
    assert person.now == ("unsubscribed", "platform_stop")


@pytest.mark.parametrize("stop_first", [True, False])
def test_a_stop_in_words_outlasts_a_resume(person: Person, stop_first: object) -> None:
    person.writes("STOP", hours=1 if stop_first else 3)
    person.switches("stop", hours=2)
    assert person.now == ("unsubscribed", "platform_stop")
    assert person.switches("resume", hours=5) == {"flag": 1}
    assert person.now == ("unsubscribed", "opted_out")


def test_a_resume_that_is_older_than_the_stop_or_without_one_lifts_nothing(person: Person) -> None:
    assert person.switches("resume", hours=1) == {"nothing": 1}
    person.switches("stop", hours=4)
    assert person.switches("resume", hours=3) == {"nothing": 1}
    assert person.now == ("unsubscribed", "platform_stop")


def test_other_categories_and_nonsense_are_no_preferences() -> None:
    def read(document: object) -> list[Any]:
        return read_preferences(document, now=BEGIN)

    assert len(read(preference("stop", 1))) == 1
    assert len(read({"User_Preferences": [{"WA_ID": "32470000000", "VALUE": "stop"}]})) == 1
    assert read(preference("stop", 1, category="utility")) == []
    assert read(preference("maybe", 1)) == []
    assert read(preference("stop", 1, wa_id="")) == []
    nested: Any = {"user_preferences": [{"wa_id": NUMBER, "value": "stop"}]}
    for _ in range(40):
        nested = [nested]
    assert read(nested) == []
    for nonsense in (None, 3, "x", [], {}, {"user_preferences": 3}, {"user_preferences": [None, 3, []]}):
        assert read(nonsense) == []
    odd = read(preference("stop", 1, timestamp="9" * 30))
    assert [each.occurred_at for each in odd] == [BEGIN]
    assert json.dumps(preference("stop", 1))
