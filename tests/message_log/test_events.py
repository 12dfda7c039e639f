"""apply_events: repeats, disorder, gaps and strangers end in the same ledger."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from include.database import connect
from include.message_log.events import Applied, StatusEvent, apply_events
from tests.message_log.ledger import SENT, add_campaign, add_messages, add_people, message

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def event(
    reference: str, status: Any, *, after: float = 60, source: Any = "webhook", **more: Any
) -> StatusEvent:
    return StatusEvent(
        reference=reference, status=status, occurred_at=SENT + timedelta(seconds=after), source=source, **more
    )


def apply(
    conn: psycopg.Connection[Any], *events: StatusEvent, entities: tuple[str, ...] = ("acme",)
) -> Applied:
    return apply_events(conn, events, entities=entities, now=NOW)


def test_a_message_goes_from_accepted_to_read_and_a_repeat_changes_nothing(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        people = add_people(conn, 1)
        [reference] = add_messages(conn, add_campaign(conn), people)
        events = [
            event(reference, "accepted", after=1),
            event(reference, "delivered", after=2),
            event(reference, "read"),
        ]
        first = apply(conn, *events)
        assert first == Applied(received=3, known=3, recorded=3, changed=1)
        row = message(conn, reference)
        assert (row["state"], row["delivered_at"], row["read_at"], row["accepted_at"]) == (
            "read",
            SENT + timedelta(seconds=2),
            SENT + timedelta(seconds=60),
            SENT,
        )
        assert apply(conn, *events, *events) == Applied(received=6, known=6)
        assert message(conn, reference) == row


@pytest.mark.parametrize("state", ["planned", "sending", "uncertain", "expired", "accepted"])
def test_a_status_settles_what_was_open(migrated_database: str, state: str) -> None:
    with connect(migrated_database) as conn:
        [reference] = add_messages(conn, add_campaign(conn), add_people(conn, 1), state=state)
        apply(conn, event(reference, "accepted"))
        row = message(conn, reference)
        assert row["state"] == "accepted"
        # The time it left our hands, where that is known, and else the status's own.
        assert row["accepted_at"] == (SENT + timedelta(seconds=60) if state == "planned" else SENT)


def test_an_excluded_person_stays_excluded_and_the_event_is_kept(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        [reference] = add_messages(conn, add_campaign(conn), add_people(conn, 1), state="excluded")
        assert apply(conn, event(reference, "delivered")).recorded == 1
        row = message(conn, reference)
        assert (row["state"], row["delivered_at"]) == ("excluded", None)


def test_every_order_of_the_same_events_ends_in_the_same_row(migrated_database: str) -> None:
    told = [
        ("accepted", 1, None),
        ("failed", 2, 55),
        ("delivered", 3, None),
        ("read", 4, None),
    ]
    orders = list(itertools.permutations(told))
    with connect(migrated_database) as conn:
        references = add_messages(conn, add_campaign(conn), add_people(conn, len(orders)), state="uncertain")
        for reference, order in zip(references, orders, strict=True):
            for status, after, code in order:
                apply(conn, event(reference, status, after=after, error_code=code))
        ends = {
            tuple(
                row[name]
                for name in ("state", "accepted_at", "delivered_at", "read_at", "failed_at", "error_code")
            )
            for row in (message(conn, reference) for reference in references)
        }
        assert ends == {("read", SENT, SENT + timedelta(seconds=3), SENT + timedelta(seconds=4), None, None)}


def test_read_without_delivered_counts_as_delivered(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        [reference] = add_messages(conn, add_campaign(conn), add_people(conn, 1))
        apply(conn, event(reference, "read", after=50))
        assert message(conn, reference)["delivered_at"] == SENT + timedelta(seconds=50)
        apply(conn, event(reference, "delivered", after=20))
        row = message(conn, reference)
        assert (row["state"], row["delivered_at"]) == ("read", SENT + timedelta(seconds=20))


def test_a_failure_keeps_its_code_and_a_later_delivery_overrules_it(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        [reference] = add_messages(conn, add_campaign(conn), add_people(conn, 1))
        apply(
            conn,
            event(reference, "failed", source="log"),
            event(reference, "failed", error_code=62, after=70),
        )
        row = message(conn, reference)
        assert (row["state"], row["error_code"], row["error_source"]) == ("failed", 62, "status")
        apply(conn, event(reference, "delivered", after=80))
        row = message(conn, reference)
        assert (row["state"], row["error_code"], row["failed_at"]) == ("delivered", None, None)


def test_an_earlier_attempts_failure_does_not_touch_the_present_one(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        [first] = add_messages(conn, add_campaign(conn), add_people(conn, 1), state="planned")
        conn.execute("update campaign_message set attempt = 2")
        apply(conn, event(first, "accepted"), event(first, "failed", error_code=131049))
        second = first[:-1] + "2"
        row = message(conn, second)
        assert (row["state"], row["accepted_at"], row["error_code"]) == ("planned", None, None)
        apply(conn, event(first, "delivered"))
        assert message(conn, second)["state"] == "delivered"


def test_strangers_are_set_aside_once_without_anything_personal(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        campaign = add_campaign(conn)
        [ours] = add_messages(conn, campaign, add_people(conn, 1))
        other = add_campaign(conn, entity="beta")
        [theirs] = add_messages(conn, other, add_people(conn, 1, entity="beta"))
        strangers = [
            event("202611c99999s1a1", "read"),
            event("190001c1s1a1", "read"),
            event(f"202611c{campaign}s1a7", "delivered"),
            event("0031612345678", "failed", error_text="call +31 6 12 34 56 78"),
            event("a\x00b", "failed"),
            event("", "accepted"),
            event(theirs, "read"),
        ]
        applied = apply(conn, *strangers, event(ours, "delivered", error_text="sent to 0031612345678 for 5"))
        assert (applied.unknown, applied.set_aside, applied.changed) == (7, 7, 1)
        assert apply(conn, *strangers).set_aside == 0
        rows = conn.execute("select * from set_aside order by id").fetchall()
        assert not any("612345678" in f"{row['reference']}{row['body']}".replace(" ", "") for row in rows)
        assert {row["reason"] for row in rows} == {"foreign_reference", "unknown_reference"}
        texts = conn.execute("select error_text from message_event").fetchall()
        assert texts == [{"error_text": "sent to # for 5"}]
        assert message(conn, theirs)["state"] == "accepted"
        assert apply(conn, event(theirs, "read"), entities=("acme", "beta")).changed == 1


def test_the_log_adds_price_country_and_that_it_knows_the_message(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        [reference] = add_messages(conn, add_campaign(conn), add_people(conn, 1))
        apply(conn, event(reference, "delivered"))
        assert message(conn, reference)["logged_at"] is None
        log = event(reference, "delivered", source="log", price="0.0712", currency="EUR", country="BE")
        assert apply(conn, log).changed == 1
        row = message(conn, reference)
        assert (str(row["price"]), row["currency"], row["country"], row["logged_at"]) == (
            "0.0712",
            "EUR",
            "BE",
            NOW,
        )
        assert apply(conn, log).changed == 0


def test_two_undeliverables_in_a_row_make_a_person_unreachable_and_a_delivery_undoes_it(
    migrated_database: str,
) -> None:
    def person() -> tuple[str, int]:
        found = conn.execute("select reachability, undeliverable from subscription").fetchone()
        assert found is not None
        return found["reachability"], found["undeliverable"]

    with connect(migrated_database) as conn:
        people = add_people(conn, 1)
        first, second, third = (add_messages(conn, add_campaign(conn), people)[0] for _ in range(3))
        apply(conn, event(first, "failed", error_code=59, after=1))
        apply(conn, event(first, "failed", error_code=59, after=1))
        assert person() == ("unknown", 1)
        apply(conn, event(second, "failed", error_code=131026, after=2))
        assert person() == ("unreachable", 2)
        apply(conn, event(third, "delivered", after=3))
        assert person() == ("confirmed", 0)
        apply(conn, event(second, "failed", error_code=59, after=2))
        assert person() == ("confirmed", 0), "old news does not undo newer"


def test_how_often_and_within_how_many_days_is_the_rule_of_the_campaign(migrated_database: str) -> None:
    """Three campaigns within 10 days: two attempts in one campaign are one, and what is older does not count."""

    def reachability() -> str:
        found = conn.execute("select reachability from subscription").fetchone()
        assert found is not None
        return str(found["reachability"])

    day = 24 * 3600
    with connect(migrated_database) as conn:
        people = add_people(conn, 1)
        messages = [add_messages(conn, add_campaign(conn), people)[0] for _ in range(6)]
        rule = '{"undeliverable_campaigns": 3, "undeliverable_days": 10}'
        conn.execute("update campaign set parameters = parameters || %s::jsonb", [rule])
        for message, at in zip(messages, (1, 2, 14, 15, 16, 17), strict=True):
            apply(conn, event(message, "failed", error_code=59, after=at * day))
            apply(conn, event(message, "failed", error_code=131026, after=at * day + 1))
            if at == 15:
                assert reachability() == "unknown"
        assert reachability() == "unreachable", "the 14th, 15th and 16th"
        conn.execute("update subscription set reachability = 'unknown', status = 'subscribed', status_at = %s", [
            SENT + timedelta(days=20)
        ])  # fmt: skip
        again = add_messages(conn, add_campaign(conn), people)[0]
        apply(conn, event(again, "failed", error_code=59, after=21 * day))
        assert reachability() == "unknown", "who says yes again is tried again"


def test_shuffled_repeated_and_cut_in_pieces_equals_in_order(migrated_database: str) -> None:
    chance = random.Random(11)
    with connect(migrated_database) as conn:
        people = add_people(conn, 300)
        tidy = add_messages(conn, add_campaign(conn), people, state="sending")
        untidy = add_messages(conn, add_campaign(conn), people, state="sending")
        scripts = [
            chance.choice(
                [
                    ["accepted"],
                    ["accepted", "delivered"],
                    ["accepted", "delivered", "read"],
                    ["accepted", "failed"],
                    ["rejected"],
                    ["failed", "delivered"],
                    ["read"],
                ]
            )
            for _ in people
        ]

        def told(references: list[str]) -> list[StatusEvent]:
            return [
                event(reference, status, after=place + 1, error_code=62 if status == "failed" else None)
                for reference, script in zip(references, scripts, strict=True)
                for place, status in enumerate(script)
            ]

        apply(conn, *told(tidy))
        pieces = told(untidy) * 5
        chance.shuffle(pieces)
        while pieces:
            size = chance.randint(1, 200)
            apply(conn, *pieces[:size])
            pieces = pieces[size:]
        names = ("state", "accepted_at", "delivered_at", "read_at", "failed_at", "error_code", "error_source")
        for one, other in zip(tidy, untidy, strict=True):
            assert [message(conn, one)[name] for name in names] == [
                message(conn, other)[name] for name in names
            ]
