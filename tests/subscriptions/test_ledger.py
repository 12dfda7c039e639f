"""A yes or a no from our own doors, with all that follows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from include.entities import Wording
from include.subscriptions import WordingChanged, grant, rebuild, withdraw
from tests.support.optins import NOW, Store, entity, source

BRAND = entity(source())
YES = ("1", "0470123456", "yes", "2026-03-01T10:00:00Z", None, "An", None)


def at(day: int) -> datetime:
    return datetime(2026, 4, day, tzinfo=UTC)


def say(store: Store, verb: Any, day: int, **more: Any) -> int | None:
    person = store.value("select id from subscription")
    proof = (
        {}
        if verb is withdraw
        else {"collection_point": "reply", "wording_id": "w1", "wording_language": "en"}
    )
    with psycopg.connect(store.dsn, row_factory=dict_row) as conn:
        event: int | None = verb(
            conn,
            subscription_id=person,
            occurred_at=at(day),
            source="whatsapp",
            source_record_id=f"message-{day}",
            method="keyword",
            **({"entity": "brand"} | proof | more),
        )
    return event


def test_a_stop_counts_at_once_and_is_told_to_the_source(store: Store) -> None:
    store.sync(BRAND, [YES])
    event = say(store, withdraw, 2)
    assert store.rows("select status, status_at, consent_event_id, attributes from subscription") == [
        {
            "status": "unsubscribed",
            "status_at": at(2),
            "consent_event_id": event,
            "attributes": {"first_name": "An"},
        }
    ]
    assert store.value("select reason from suppression") == "opted_out"
    assert store.rows("select source, source_record_id, state from optout_outbox") == [
        {"source": "drop", "source_record_id": "1", "state": "due"}
    ]
    assert say(store, withdraw, 2) is None
    assert store.value("select count(*) from optout_outbox") == 1


def test_a_later_start_lifts_their_own_stop_only(store: Store) -> None:
    store.sync(BRAND, [YES])
    say(store, withdraw, 2)
    say(store, grant, 3)
    assert store.people() == {"+32470123456": "subscribed"}
    assert store.value("select count(*) from suppression") == 0
    say(store, withdraw, 4, reason="platform_stop")
    say(store, grant, 5)
    assert store.value("select reason from suppression") == "platform_stop"


def test_a_start_older_than_a_stop_changes_nothing(store: Store) -> None:
    store.sync(BRAND, [YES])
    say(store, withdraw, 4)
    say(store, grant, 3)
    assert store.people() == {"+32470123456": "unsubscribed"}


def test_a_sync_of_what_the_source_said_before_does_not_subscribe_again(store: Store) -> None:
    store.sync(BRAND, [YES])
    say(store, withdraw, 2)
    assert store.sync(BRAND, [YES]).rows_written == 0
    store.sync(BRAND, [(*YES[:5], "Anna", None)])
    assert store.people() == {"+32470123456": "unsubscribed"}


def test_a_person_of_another_entity_is_not_touched(store: Store) -> None:
    store.sync(BRAND, [YES])
    assert say(store, withdraw, 2, entity="other") is None
    assert store.people() == {"+32470123456": "subscribed"}


def test_rebuilding_from_the_ledger_changes_nothing(store: Store) -> None:
    store.sync(BRAND, [YES, ("2", "0470123457", "no", None, None, None, None)])
    say_no = store.rows("select * from subscription order by id")
    with psycopg.connect(store.dsn, row_factory=dict_row) as conn:
        assert rebuild(conn, BRAND, now=NOW) == 0
        conn.execute("update subscription set status = 'subscribed'")
        assert rebuild(conn, BRAND, now=NOW) == 1
    assert [row["status"] for row in store.rows("select status from subscription order by id")] == [
        row["status"] for row in say_no
    ]


def test_rebuilding_from_nothing_gives_the_same_table(store: Store) -> None:
    history = [
        YES,
        ("2", "0470123457", "no", None, None, None, None),
        ("3", "0470123458", "yes", "2026-03-01T10:00:00Z", "nl", "Bo", "Gent"),
        ("4", "0470123458", "yes", "2026-03-02T10:00:00Z", None, "Bob", None),
    ]
    store.sync(BRAND, history)
    store.sync(BRAND, [("1", "0470123459", "yes", "2026-03-05T10:00:00Z", None, "An", None)])
    query = (
        "select id, status, status_at, consent_event_id, attributes, language from subscription order by id"
    )
    before = store.rows(query)
    assert {row["status"] for row in before} == {"subscribed", "unsubscribed", "expired"}
    store.execute(
        "update subscription set status = 'unknown', status_at = null, consent_event_id = null, attributes = '{}', "
        "language = null"
    )
    with psycopg.connect(store.dsn, row_factory=dict_row) as conn:
        assert rebuild(conn, BRAND, now=NOW) == len(before)
    assert store.rows(query) == before


def test_the_ledger_and_the_wordings_cannot_be_changed(store: Store) -> None:
    store.sync(BRAND, [YES])
    for statement in (
        "update consent_event set action = 'grant'",
        "delete from consent_event",
        "truncate consent_event cascade",
        "update consent_wording set wording = 'Something else'",
        "delete from consent_wording",
        "truncate consent_wording",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation):
            store.execute(statement)


@pytest.mark.parametrize("column", ["collection_point", "method", "wording_id", "wording_language"])
def test_a_yes_without_proof_is_refused_by_the_database_itself(store: Store, column: str) -> None:
    names = ["collection_point", "method", "wording_id", "wording_language"]
    values = [None if name == column else "x" for name in names]
    query = f"""insert into consent_event (subscription_id, action, occurred_at, source, source_record_id,
                                           {", ".join(names)}) values (1, %s, now(), 'shop', 'r', %s, %s, %s, %s)"""  # noqa: S608
    store.execute(query, "withdraw", *values)
    for action in ("grant", "confirm"):
        with pytest.raises(psycopg.errors.CheckViolation, match="consent_event_proof"):
            store.execute(query, action, *values)


def test_the_whole_proof_stands_in_one_row(store: Store) -> None:
    """C1 and C2: who, when, where, how, and exactly what they were told."""
    told = Wording(
        id="w1",
        valid_from=date(2026, 1, 1),
        privacy_notice="2026-01",
        evidence="sha256:abc",
        approved_by="the DPO",
        texts={"en": "Yes, please."},
    )
    brand = entity(source(), wordings=(told,))
    store.sync(brand, [YES])
    (proof,) = store.rows("select * from v_consent")
    assert proof | {"recorded_at": None} == {
        "entity": "brand", "consent_event_id": 1, "subscription_id": 1, "channel": "whatsapp", "purpose": "marketing",
        "action": "grant", "occurred_at": datetime(2026, 3, 1, 10, tzinfo=UTC), "recorded_at": None, "source": "drop",
        "source_record_id": "1", "collection_point": "a form", "method": "checkbox", "needs_confirmation": False,
        "wording_id": "w1", "wording_language": "en", "wording": "Yes, please.", "valid_from": date(2026, 1, 1),
        "privacy_notice": "2026-01", "wording_evidence": "sha256:abc", "wording_approved_by": "the DPO",
        "evidence_ref": None, "actor": None, "sync_run_id": 1, "is_present_state": True,
    }  # fmt: skip
    changed = entity(source(), wordings=(told.model_copy(update={"privacy_notice": "2026-02"}),))
    with pytest.raises(WordingChanged):
        store.sync(changed, [YES])
