"""Erasure leaves figures and proof, and nothing that says who it was; retention forgets texts."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from include.database import connect
from include.inbound import from_webhook, record_inbound
from include.privacy import PersonUnknown, erase, retain
from include.reports import funnel, refresh
from tests.support.campaigns import acme, approve_templates, planned, states, subscribe
from tests.support.ledger import add_campaign, small_campaign

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
        conn.execute(
            "insert into pushed_record values ('acme', 'form', 'x', '{\"mobile\": \"+32470123456\"}', %s)",
            (NOW,),
        )
        document = {
            "from": {"number": "+32470000001"},
            "message": {
                "text": "Is het nog te koop?",
                "media": {"mediaUri": "https://cdn-1.messaging.cm.com/x"},
            },
            "timeUtc": NOW.isoformat(),
        }
        record_inbound(conn, [from_webhook(document, now=NOW)], entities=[acme()], suppression_key=None)

        def kept() -> list[tuple[str | None, bool]]:
            conn.commit()
            rows = conn.execute(
                "select text, raw is null and media_uri is null as bare, kind from inbound_message"
            )
            return [(row["text"], row["bare"]) for row in rows]

        assert set(retain(acme(), dsn=dsn, now=NOW).values()) == {0}
        assert kept() == [("Is het nog te koop?", False)]
        nothing = dict.fromkeys(retain(acme(), dsn=dsn, now=NOW), 0)
        assert retain(acme(), dsn=dsn, now=NOW + timedelta(days=31)) == nothing | {"pushed": 1}
        assert kept() == [("Is het nog te koop?", False)]
        later = NOW + timedelta(days=91)
        assert retain(acme(), dsn=dsn, now=later) == nothing | {"replies": 1, "variables": 2, "set_aside": 1}
        assert kept() == [(None, True)], "who replied when stays countable, what they said does not"
        assert retain(acme(), dsn=dsn, now=later) == nothing


def test_rows_of_old_campaigns_go_and_their_figures_stay(migrated_database: str) -> None:
    dsn = migrated_database
    with connect(dsn) as conn:
        old = add_campaign(conn, outcomes=small_campaign())
        open_one = add_campaign(conn, name="Open", outcomes=small_campaign(), state="sent")
        young = add_campaign(conn, name="Young", outcomes=small_campaign())
        conn.execute("update campaign set created_at = %s where id <> %s", (NOW - timedelta(days=761), young))
        conn.execute("update campaign_message set clicked_at = %s where replied_at is not null", (NOW,))
        conn.execute(
            "insert into inbound_message (entity, webhook_key, kind, occurred_at, received_at, source) "
            "values ('acme', 'old', 'reply', %(old)s, %(old)s, 'webhook'), "
            "('acme', 'new', 'reply', now(), now(), 'webhook')",
            {"old": NOW - timedelta(days=761)},
        )
    assert retain(acme(), dsn=dsn, now=NOW)["messages"] == 0, "first the figures are counted"
    refresh("acme", dsn=dsn, now=NOW)
    with connect(dsn) as conn:
        before = {number: asdict(funnel(conn, number)) for number in (old, open_one, young)}
    done = retain(acme(), dsn=dsn, now=NOW)
    assert (done["messages"], done["old_replies"]) == (25, 0), "the old reply went the first time"
    assert retain(acme(), dsn=dsn, now=NOW)["messages"] == 0
    refresh("acme", dsn=dsn, now=NOW, everything=True)
    with connect(dsn) as conn:
        left = conn.execute("select campaign_id, count(*) as n from campaign_message group by 1 order by 1")
        assert [tuple(row.values()) for row in left.fetchall()] == [(open_one, 25), (young, 25)]
        assert asdict(funnel(conn, old, live=True)) == before[old]
        clicked = conn.execute("select count(*) as n from subscription where last_action_at = %s", (NOW,))
        assert clicked.fetchone() == {"n": 3}
        assert conn.execute("select webhook_key from inbound_message").fetchall() == [{"webhook_key": "new"}]
