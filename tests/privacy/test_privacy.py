"""Erasure leaves figures and proof, and nothing that says who it was; retention forgets texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.database import connect
from include.privacy import PersonUnknown, erase, retain
from tests.support.campaigns import acme, approve_templates, planned, states, subscribe

NOW = datetime.now(UTC)


def test_erasing_a_person_leaves_the_figures(migrated_database: str) -> None:
    dsn = migrated_database
    approve_templates(dsn, acme())
    subscribe(dsn, 3, person_hash=b"hash", bsuid="BE.1", time_zone="Europe/Brussels")
    plan = planned(dsn, acme())
    with connect(dsn) as conn:
        conn.execute(
            "insert into inbound_message (entity, webhook_key, subscription_id, kind, text, raw, occurred_at, source) "
            "values ('acme', 'k', 1, 'reply', 'hello', '{}', now(), 'webhook')"
        )
    assert erase("acme", source="webshop", record_id="r1", actor="tests", dsn=dsn, now=NOW) == 1
    assert (
        erase("acme", source="webshop", record_id="r1", actor="tests", dsn=dsn, now=NOW + timedelta(hours=1))
        == 1
    )
    with connect(dsn) as conn:
        person = conn.execute("select * from subscription where id = 1").fetchone()
        assert person is not None
        said = {
            name: person[name]
            for name in ("phone", "match_key", "language", "bsuid", "time_zone", "attributes")
        }
        assert said == dict.fromkeys(said, None) | {"attributes": {}}
        assert person["status"] == "erased"
        assert conn.execute("select reason from suppression").fetchall() == [{"reason": "erased"}]
        events = conn.execute(
            "select action from consent_event where subscription_id = 1 order by id"
        ).fetchall()
        assert [event["action"] for event in events] == ["grant", "erase"]
        assert conn.execute("select text, raw from inbound_message").fetchone() == {"text": None, "raw": None}
        assert conn.execute(
            "select variables from campaign_message where subscription_id = 1"
        ).fetchone() == {"variables": None}
    assert states(dsn, plan.campaign_id) == {"excluded": 1, "planned": 2}


def test_an_unknown_record_erases_nobody(migrated_database: str) -> None:
    with pytest.raises(PersonUnknown, match="nothing was erased"):
        erase("acme", source="webshop", record_id="nobody", actor="tests", dsn=migrated_database, now=NOW)


def test_retention_forgets_texts_once_they_are_old(migrated_database: str) -> None:
    dsn = migrated_database
    approve_templates(dsn, acme())
    subscribe(dsn, 2)
    planned(dsn, acme())
    with connect(dsn) as conn:
        conn.execute(
            "insert into set_aside (entity, kind, reason, body) values ('acme', 'status', 'unknown', 'x')"
        )
    assert set(retain(acme(), dsn=dsn, now=NOW).values()) == {0}
    later = NOW + timedelta(days=91)
    assert retain(acme(), dsn=dsn, now=later) == {"replies": 0, "variables": 2, "set_aside": 1, "rejects": 0}
    assert set(retain(acme(), dsn=dsn, now=later).values()) == {0}
