"""A reconcile: who is subscribed, by which rule, and that nothing is written without need."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.entities import Wording
from include.entities.models import Guard
from include.subscriptions import (
    GuardFigures,
    Release,
    SuppressionKeyProblem,
    WordingChanged,
    person_hash,
    reconcile,
)
from tests.support.optins import KEY, NOW, Store, entity, source, write_csv

BRAND = entity(source())
SHOP = entity(source("shop"), source("desk"))


def row(
    record: str | None,
    phone: str,
    consent: str,
    at: str | None,
    language: str | None = None,
    name: str | None = None,
    city: str | None = None,
) -> tuple[str | None, ...]:
    return record, phone, consent, at, language, name, city


def test_the_first_reconcile_makes_people_with_proof(store: Store) -> None:
    result = store.sync(
        BRAND,
        [
            row("1", "0470123456", "yes", "2026-03-01T10:00:00Z", "nl", "An", "Gent"),
            row("2", "+31612345678", "no", "2026-03-02T10:00:00Z"),
        ],
    )
    assert result.state == "applied"
    assert result.people == {
        "new": 2, "subscribed": 1, "unsubscribed": 1, "suppressed": 1, "unsuppressed": 0, "to_tell": 0, "erased": 0,
    }  # fmt: skip
    assert result.outcomes == {result.runs[0]: {"changed": 2, "unchanged": 0, "granted": 1, "withdrawn": 1}}
    people = store.rows("select * from subscription order by phone")
    assert [(p["phone"], p["status"], p["country"], p["language"]) for p in people] == [
        ("+31612345678", "unsubscribed", "NL", None),
        ("+32470123456", "subscribed", "BE", "nl"),
    ]
    assert people[1]["attributes"] == {"first_name": "An", "city": "Gent"}
    assert people[1]["person_hash"] == person_hash(KEY, people[1]["match_key"])
    proof = store.rows("select * from consent_event where id = %s", people[1]["consent_event_id"])[0]
    assert (proof["action"], proof["source"], proof["source_record_id"]) == ("grant", "drop", "1")
    assert (proof["collection_point"], proof["method"]) == ("a form", "checkbox")
    assert (proof["wording_id"], proof["wording_language"]) == ("w1", "nl")
    assert proof["occurred_at"] == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert (
        store.value("select person_hash from suppression where reason = 'opted_out'")
        == people[0]["person_hash"]
    )
    assert store.value("select count(*) from consent_wording") == 2
    assert store.value("select count(*) from optin_staging") == 0
    assert store.value("select state from sync_run") == "applied"


def test_a_rerun_writes_nothing(store: Store) -> None:
    rows = [
        row("1", "0470123456", "yes", "2026-03-01T10:00:00Z", "nl", "An", "Gent"),
        row("2", "0470123457", "no", None),
        row("3", "junk", "no", None),
        row(None, "0470123458", "no", None),
        row("4", "0470123456", "no", "2026-02-01T10:00:00Z"),
    ]
    brand = entity(source(options={"pattern": "drop*.csv", "remember": False}))
    assert store.sync(brand, rows).rows_written > 0
    before = store.rows("select s.*, s.xmin from subscription s order by id")
    again = store.sync(brand, rows, now=NOW + timedelta(days=1))
    assert (
        again.outcomes[again.runs[0]]["unchanged"] == len(rows) - 1
    )  # the one without record id is looked at again
    assert again.rows_written == 0
    assert store.rows("select s.*, s.xmin from subscription s order by id") == before
    assert store.reconcile(BRAND).state == "nothing_to_do"


@pytest.mark.parametrize(
    ("history", "state"),
    [
        ([("yes", 1)], "subscribed"),
        ([("yes", 1), ("no", 2)], "unsubscribed"),
        ([("no", 2), ("yes", 1)], "unsubscribed"),
        ([("yes", 1), ("no", 2), ("yes", 3)], "subscribed"),
        ([("yes", 1), ("no", 1)], "unsubscribed"),
        ([("no", 1), ("yes", 1)], "unsubscribed"),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_the_newest_event_wins_and_no_beats_yes(
    store: Store, history: list[tuple[str, int]], state: str, *, together: bool
) -> None:
    rows = [
        row(f"{number}", "0470123456", consent, f"2026-03-0{day}T10:00:00Z")
        for number, (consent, day) in enumerate(history)
    ]
    for batch in [rows] if together else [[each] for each in rows]:
        store.sync(BRAND, batch)
    assert store.people() == {"+32470123456": state}
    assert store.value("select count(*) from suppression") == (state == "unsubscribed")


def test_a_no_with_an_unreadable_number_reaches_every_number_of_the_record(store: Store) -> None:
    store.sync(
        BRAND,
        [
            row("1", "0470123456", "yes", "2026-03-01T10:00:00Z"),
            row("2", "0470123457", "yes", "2026-03-01T10:00:00Z"),
        ],
    )
    store.sync(BRAND, [row("1", "removed", "no", "2026-03-02T10:00:00Z")])
    assert store.people() == {"+32470123456": "unsubscribed", "+32470123457": "subscribed"}
    # The other way round: the "no" came first, and the older "yes" with its number after it.
    store.sync(BRAND, [row("9", "removed", "no", "2026-03-02T10:00:00Z")])
    store.sync(BRAND, [row("9", "0470123459", "yes", "2026-03-01T10:00:00Z")])
    assert store.people()["+32470123459"] == "unsubscribed"


def test_a_record_that_changes_its_number_no_longer_vouches_for_the_old_one(store: Store) -> None:
    store.sync(BRAND, [row("1", "0470123456", "yes", "2026-03-01T10:00:00Z", "nl", "An")])
    store.sync(BRAND, [row("1", "0470123457", "yes", "2026-03-05T10:00:00Z", "nl", "An")])
    assert store.people() == {"+32470123456": "expired", "+32470123457": "subscribed"}
    assert store.rows("select attributes, language from subscription order by phone") == [
        {"attributes": {}, "language": None},
        {"attributes": {"first_name": "An"}, "language": "nl"},
    ]
    store.sync(BRAND, [row("1", "0470123457", "no", "2026-03-06T10:00:00Z")])
    assert set(store.people().values()) == {"unsubscribed"}


def test_a_number_that_changes_hands_keeps_nothing_of_its_former_holder(store: Store) -> None:
    """Customer 1 said yes and moved to another number; customer 2 now has the old one, and has not said yes."""
    store.sync(BRAND, [row("1", "0470123456", "yes", "2026-03-01T10:00:00Z", "nl", "An", "Gent")])
    store.sync(BRAND, [row("1", "0470123457", "yes", "2026-03-05T10:00:00Z", "nl", "An", "Gent")])
    assert store.people() == {"+32470123456": "expired", "+32470123457": "subscribed"}
    store.sync(BRAND, [row("2", "0470123456", "no", "2026-03-06T10:00:00Z", "fr", "Bo")])
    assert store.people() == {"+32470123456": "unsubscribed", "+32470123457": "subscribed"}
    store.sync(BRAND, [row("2", "0470123456", "yes", "2026-03-07T10:00:00Z", "fr", "Bo")])
    found = store.rows(
        "select status, attributes, language, consent_event_id from subscription order by phone"
    )
    assert found[0]["status"] == "subscribed"
    assert (found[0]["attributes"], found[0]["language"]) == ({"first_name": "Bo"}, "fr")
    proof = store.rows(
        "select source_record_id from consent_event where id = %s", found[0]["consent_event_id"]
    )
    assert proof == [{"source_record_id": "2"}], "the new holder's own yes, not the former one's"


def test_one_person_with_two_numbers_is_two_subscriptions_and_one_no_ends_both(store: Store) -> None:
    store.sync(BRAND, [row("1", "0470123456", "yes", "2026-03-01T10:00:00Z", None, "An")])
    store.sync(BRAND, [row("2", "0470123457", "yes", "2026-03-01T10:00:00Z", None, "An")])
    assert store.people() == {"+32470123456": "subscribed", "+32470123457": "subscribed"}
    store.sync(BRAND, [row("1", "0470123456", "no", "2026-03-02T10:00:00Z", None, "An")])
    assert store.people() == {"+32470123456": "unsubscribed", "+32470123457": "subscribed"}, (
        "two records: two minds"
    )
    # One record that had both numbers, one after the other: its no is for both.
    store.sync(BRAND, [row("2", "0470123458", "yes", "2026-03-03T10:00:00Z", None, "An")])
    store.sync(BRAND, [row("2", "0470123458", "no", "2026-03-04T10:00:00Z", None, "An")])
    assert set(store.people().values()) == {"unsubscribed"}


@pytest.mark.parametrize("no_first", [True, False])
def test_two_people_with_one_number_are_one_subscription_and_the_newest_word_counts(
    store: Store, *, no_first: bool
) -> None:
    """A family phone: whoever said something last decided, and a no at the same moment goes before a yes."""
    an = row("1", "0470123456", "yes", "2026-03-01T10:00:00Z", None, "An")
    bo = row("2", "0470123456", "no", "2026-03-02T10:00:00Z", None, "Bo")
    for each in (bo, an) if no_first else (an, bo):
        store.sync(BRAND, [each])
    assert store.people() == {"+32470123456": "unsubscribed"}
    store.sync(BRAND, [row("1", "0470123456", "yes", "2026-03-03T10:00:00Z", None, "An")])
    assert store.people() == {"+32470123456": "subscribed"}
    store.sync(BRAND, [row("2", "0470123456", "no", "2026-03-03T10:00:00Z", None, "Bo")])
    assert store.people() == {"+32470123456": "unsubscribed"}


def test_attributes_come_from_the_newest_record_that_has_them(store: Store) -> None:
    write_csv(
        store.folder / "shop.csv",
        [row("s", "0470123456", "yes", "2026-03-02T10:00:00Z", "fr", "Anna", "Gent")],
    )
    write_csv(
        store.folder / "desk.csv", [row("d", "0470123456", "yes", "2026-03-03T10:00:00Z", "xx", "An", None)]
    )
    for name in ("desk", "shop"):
        store.pull(SHOP, name)
    store.reconcile(SHOP)
    assert store.rows("select attributes, language from subscription") == [
        {"attributes": {"first_name": "An", "city": "Gent"}, "language": "fr"}
    ]


def test_a_no_is_told_to_every_other_record_that_says_yes(store: Store) -> None:
    write_csv(
        store.folder / "shop.csv",
        [
            row("s1", "0470123456", "yes", "2026-03-01T10:00:00Z"),
            row("s2", "+32 470 12 34 56", "yes", "2026-03-01T10:00:00Z"),
        ],
    )
    write_csv(store.folder / "desk.csv", [row("d1", "0470123456", "no", "2026-03-03T10:00:00Z")])
    store.pull(SHOP, "shop")
    store.reconcile(SHOP)
    store.pull(SHOP, "desk")
    assert store.reconcile(SHOP).people["to_tell"] == 2
    told = store.rows("select source, source_record_id, state from optout_outbox order by source_record_id")
    assert told == [{"source": "shop", "source_record_id": f"s{n}", "state": "due"} for n in (1, 2)]
    # The shop's echo of what it was told is no reason to tell anybody again.
    write_csv(store.folder / "shop.csv", [row("s1", "0470123456", "no", "2026-03-04T10:00:00Z")])
    store.pull(SHOP, "shop")
    assert store.reconcile(SHOP).people["to_tell"] == 0


def test_an_older_yes_that_arrives_after_a_no_is_told_too(store: Store) -> None:
    store.sync(SHOP, [row("s1", "0470123456", "no", "2026-03-03T10:00:00Z")])
    write_csv(store.folder / "desk.csv", [row("d1", "0470123456", "yes", "2026-03-01T10:00:00Z")])
    store.pull(SHOP, "desk")
    assert store.reconcile(SHOP).people["to_tell"] == 1
    assert store.people() == {"+32470123456": "unsubscribed"}


def test_the_erased_are_not_taken_again(store: Store) -> None:
    store.execute(
        "insert into suppression (entity, person_hash, reason, source) values ('brand', %s, 'erased', 'privacy')",
        person_hash(KEY, "+32470123456"),
    )
    result = store.sync(BRAND, [row("1", "0470123456", "yes", "2026-03-01T10:00:00Z")])
    assert result.people["erased"] == 1
    assert store.people() == {}
    assert store.reasons() == {"erased": 1}
    assert store.value("select count(*) from source_record") == 0


def test_the_guard_holds_a_run_with_its_figures_until_it_is_released(store: Store) -> None:
    guarded = entity(source(), guard=Guard(max_share=0.2, min_people=10))
    yes = [row(f"{n}", f"047012{n:04d}", "yes", "2026-03-01T10:00:00Z") for n in range(20)]
    no = [row(f"{n}", f"047012{n:04d}", "no", "2026-03-02T10:00:00Z") for n in range(5)]
    store.sync(guarded, yes)
    held = store.sync(guarded, no)
    assert held.state == "held"
    assert held.guard is not None
    assert (held.guard.opted_out, held.guard.opted_in, held.guard.known) == (5, 0, 20)
    assert set(store.people().values()) == {"subscribed"}
    run = store.rows("select state, problem, outcome from sync_run order by id")[-1]
    assert run["state"] == "held"
    assert "opt out 5" in run["problem"]
    assert store.reconcile(guarded).state == "nothing_to_do"
    assert store.reconcile(guarded, release=True).state == "applied"
    assert sorted(store.people().values()).count("unsubscribed") == 5


def test_what_was_approved_goes_through_and_what_goes_beyond_it_is_held_again(store: Store) -> None:
    guarded = entity(source(), guard=Guard(max_share=0.2, min_people=10))

    def said(answer: str, people: int, day: int) -> list[tuple[str | None, ...]]:
        return [row(f"{n}", f"047012{n:04d}", answer, f"2026-03-{day:02d}T10:00:00Z") for n in range(people)]

    store.sync(guarded, said("yes", 20, 1))
    held = store.sync(guarded, said("no", 5, 2))
    assert held.ask
    again = store.sync(guarded, said("no", 8, 3))
    assert (again.state, again.ask) == ("held", False), "one question at a time"
    until = store.rows("select asked_until from sync_run where state = 'held' order by id")
    assert [each["asked_until"] for each in until] == [NOW + timedelta(hours=12), None]
    wider = store.sync(guarded, said("no", 11, 4))
    assert (wider.state, wider.ask) == ("held", False)
    figures = held.guard
    assert figures is not None

    def release(seen: GuardFigures) -> str:
        return reconcile(guarded, dsn=store.dsn, key=KEY, now=NOW, release=Release("An", seen)).state

    assert release(figures) == "held", "11 people would go, 5 were approved, and the guard allows 4 by itself"
    assert set(store.people().values()) == {"subscribed"}
    assert release(replace(figures, opted_out=7)) == "applied"
    assert sorted(store.people().values()).count("unsubscribed") == 11
    runs = store.rows("select state, released_by, asked_until from sync_run order by id")
    assert runs == [
        {"state": "applied", "released_by": name, "asked_until": None} for name in (None, "An", "An", "An")
    ]


def test_nobody_is_asked_again_before_the_first_question_is_over(store: Store) -> None:
    guarded = entity(source(), guard=Guard(max_share=0.2, min_people=10, answer_hours=2))
    yes = [row(f"{n}", f"047012{n:04d}", "yes", "2026-03-01T10:00:00Z") for n in range(20)]
    store.sync(guarded, yes)
    no = [row(f"{n}", f"047012{n:04d}", "no", "2026-03-02T10:00:00Z") for n in range(7)]
    asked = [
        store.sync(guarded, no[:people], now=NOW + timedelta(hours=hours)).ask
        for people, hours in ((5, 0), (6, 1), (7, 3))
    ]
    assert asked == [True, False, True]


def test_a_stop_that_is_older_than_the_person_is_their_first_word(store: Store) -> None:
    """A stranger wrote STOP; later a source brings the number, with an older yes and then with a newer one."""
    for number, at in (("+32470123456", "2026-03-05"), ("+32470123457", "2026-02-01")):
        store.execute(
            "insert into suppression (entity, person_hash, reason, source, said_at) "
            "values ('brand', %s, 'opted_out', 'whatsapp', %s)",
            person_hash(KEY, number),
            f"{at}T10:00:00Z",
        )
    result = store.sync(
        SHOP,
        [
            row("1", "0470123456", "yes", "2026-03-01T10:00:00Z"),
            row("2", "0470123457", "yes", "2026-03-01T10:00:00Z"),
        ],
    )
    assert store.people() == {"+32470123456": "unsubscribed", "+32470123457": "subscribed"}
    assert store.value("select count(*) from suppression") == 1
    assert result.people["to_tell"] == 1, "and the source that still says yes hears of it"
    store.sync(SHOP, [row("1", "0470123456", "yes", "2026-03-06T10:00:00Z")])
    assert store.people()["+32470123456"] == "subscribed"
    assert store.value("select count(*) from suppression") == 0


DOUBLE = entity(source("shop", double_opt_in=True), source("desk"))


@pytest.mark.parametrize(
    ("shop", "desk", "state"),
    [
        ([("yes", 1)], [], "pending"),
        ([("yes", 1)], [("yes", 3)], "subscribed"),
        ([("yes", 3)], [("yes", 1)], "subscribed"),
        ([("yes", 3)], [("no", 1)], "pending"),
        ([("yes", 1)], [("no", 3)], "unsubscribed"),
        ([("yes", 2)], [("no", 2)], "unsubscribed"),
        ([("yes", 1), ("no", 2)], [], "unsubscribed"),
        ([("no", 1), ("yes", 2)], [], "pending"),
    ],
)
@pytest.mark.parametrize("shop_first", [True, False])
def test_a_yes_that_needs_a_confirmation_never_subscribes_and_never_unsubscribes(
    store: Store, shop: list[tuple[str, int]], desk: list[tuple[str, int]], state: str, *, shop_first: bool
) -> None:
    order = [("shop", shop), ("desk", desk)]
    for name, history in order if shop_first else reversed(order):
        for consent, day in history:
            write_csv(
                store.folder / f"{name}.csv",
                [row("1", "0470123456", consent, f"2026-03-0{day}T10:00:00Z")],
            )
            store.pull(DOUBLE, name)
            store.reconcile(DOUBLE)
    assert store.people() == {"+32470123456": state}
    assert store.value("select count(*) from suppression") == (state == "unsubscribed")


def test_an_unconfirmed_record_that_moves_on_leaves_nobody_pending(store: Store) -> None:
    store.sync(DOUBLE, [row("1", "0470123456", "yes", "2026-03-01T10:00:00Z")])
    store.sync(DOUBLE, [row("1", "0470123457", "yes", "2026-03-02T10:00:00Z")])
    assert store.people() == {"+32470123456": "expired", "+32470123457": "pending"}


def test_a_wording_never_changes_under_its_id(store: Store) -> None:
    store.sync(BRAND, [row("1", "0470123456", "yes", "2026-03-01T10:00:00Z")])
    changed = entity(source(), wordings=(Wording(id="w1", texts={"en": "Something else."}),))
    with pytest.raises(WordingChanged, match="'w1'"):
        store.sync(changed, [row("2", "0470123457", "yes", "2026-03-01T10:00:00Z")])
    assert len(store.people()) == 1


def test_another_suppression_key_is_refused(store: Store) -> None:
    store.sync(BRAND, [row("1", "0470123456", "yes", "2026-03-01T10:00:00Z")])
    with pytest.raises(SuppressionKeyProblem):
        reconcile(BRAND, dsn=store.dsn, key=b"another key, also longer than 32 characters", now=NOW)


def test_rows_lost_with_the_server_are_pulled_again(store: Store) -> None:
    write_csv(store.folder / "drop.csv", [row("1", "0470123456", "yes", "2026-03-01T10:00:00Z")])
    lost = store.pull(BRAND)
    store.execute("truncate optin_staging")
    assert store.reconcile(BRAND).lost == (lost.run_id,)
    assert store.pull(BRAND).since is None
    store.reconcile(BRAND)
    assert store.people() == {"+32470123456": "subscribed"}
