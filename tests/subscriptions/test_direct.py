"""News of people of whom one record speaks is written without reading their story again, and comes to the same."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from psycopg.rows import dict_row

from include.privacy import erase
from include.subscriptions import rebuild, withdraw
from include.subscriptions.suppression import person_hash
from tests.subscriptions.test_rules import BEGIN, BRAND, NOW, STATES, Said, Store, decided, deliver_files
from tests.support.optins import KEY, write_csv

ONE = "+32470000000"


def faithful(dice: random.Random, people: int) -> list[Said]:
    """Versions of records that keep their number, now and then saying again what they said before."""
    return [
        Said(
            ("shop", "desk")[place % 2],
            str(place),
            place,
            0,
            "grant" if dice.random() < 0.6 else "withdraw",
            day,
            f"n{dice.randrange(5)}",
        )
        for place in range(people)
        for day in dice.sample(range(8), dice.randrange(1, 6))
    ]


def test_it_is_what_the_rules_say_and_what_the_ledger_says(store: Store) -> None:
    dice = random.Random(5)
    said = faithful(dice, 2_000)
    deliver_files(store, said, dice)
    assert {row["phone"]: (row["status"], row["status_at"]) for row in store.rows(STATES)} == decided(said)
    assert store.value("select count(*) from subscription where records = 1") == 2_000
    assert (
        store.value(
            """select count(*) from subscription p
               where not exists (select from consent_event e
                                 where e.id = p.consent_event_id and e.subscription_id = p.id)"""
        )
        == 0
    ), "every state leads to an event of the person's own"
    suppressed = "select count(*) from suppression x join subscription p on p.person_hash = x.person_hash"
    assert store.value(f"{suppressed} where p.status = 'subscribed'") == 0
    assert store.value(f"{suppressed} where p.status = 'unsubscribed'") == store.value(
        "select count(*) from subscription where status = 'unsubscribed'"
    )
    with psycopg.connect(store.dsn, row_factory=dict_row) as conn:
        assert rebuild(conn, BRAND, now=NOW) == 0


def row(place: int, what: str, day: int, name: str = "An") -> tuple[str, ...]:
    said = Said("shop", str(place), place, 0, "grant", day)
    return (said.record, said.phone, what, said.at.isoformat(), "nl", name, "")


def test_a_newer_yes_does_not_overtake_a_stop_that_came_by_reply(store: Store) -> None:
    store.sync(BRAND, [row(0, "yes", 1)])
    person = store.value("select id from subscription")
    with psycopg.connect(store.dsn, row_factory=dict_row) as conn:
        withdraw(
            conn,
            entity=BRAND.name,
            subscription_id=person,
            occurred_at=BEGIN + timedelta(days=5),
            source="whatsapp",
            source_record_id="m1",
            method="keyword",
        )
    store.sync(BRAND, [row(0, "yes", 3, "Ann")])
    assert store.people() == {ONE: "unsubscribed"}
    assert store.value("select attributes ->> 'first_name' from subscription") == "Ann"
    store.sync(BRAND, [row(0, "yes", 7, "Ann")])
    assert store.people() == {ONE: "subscribed"}
    assert store.value("select count(*) from suppression") == 0


def test_an_event_that_the_ledger_has_is_not_written_again(store: Store) -> None:
    store.sync(BRAND, [row(0, "yes", 1)])
    store.sync(BRAND, [row(0, "no", 3)])
    events = "select id, action, occurred_at from consent_event order by id"
    before = store.rows(events)
    # As if what the record had said last were forgotten, so that its newest word seems to be news.
    store.execute(
        "update source_record set consent = true, record_at = %s, occurred_at = %s, withdrawn_at = null",
        BEGIN,
        BEGIN,
    )
    result = store.sync(BRAND, [row(0, "no", 3)])
    assert result.state == "applied"
    assert store.rows(events) == before
    assert store.people() == {ONE: "unsubscribed"}


@pytest.mark.parametrize("moved_on_day", [2, 4])
def test_a_no_and_a_move_of_one_record_in_one_pull_meet(store: Store, moved_on_day: int) -> None:
    new_number = (
        "0",
        "+32470000001",
        "yes",
        (BEGIN + timedelta(days=moved_on_day)).isoformat(),
        "nl",
        "An",
        "",
    )
    store.sync(BRAND, [row(0, "yes", 1)])
    store.sync(BRAND, [row(0, "no", 3), new_number])
    assert store.people() == {
        ONE: "unsubscribed",
        "+32470000001": "subscribed" if moved_on_day > 3 else "unsubscribed",
    }, "a record's no holds for every number it gave, unless a newer yes came with one of them"


def test_new_people_with_more_to_say_are_told_apart_at_once(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise the ledger's keys would refuse them, and everybody's news would be written the long way."""
    said, moved = row(2, "yes", 1), (row(2, "yes", 2)[0], *row(5, "yes", 2)[1:])
    other_record_of_0 = ("another", *row(0, "no", 2)[1:])
    write_csv(store.folder / "shop.csv", [row(0, "yes", 1), other_record_of_0, row(1, "yes", 1), said])
    store.pull(BRAND, "shop")
    write_csv(store.folder / "shop.csv", [row(1, "yes", 1), row(1, "no", 3), moved, row(4, "yes", 1)])
    store.pull(BRAND, "shop")
    result = store.reconcile(BRAND)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []
    states = {0: "unsubscribed", 1: "unsubscribed", 2: "expired", 4: "subscribed", 5: "subscribed"}
    assert store.people() == {row(place, "yes", 1)[1]: state for place, state in states.items()}
    assert result.people["new"] == 5
    assert [run["changed"] for run in result.outcomes.values()] == [4, 4]
    assert store.value("select count(*) from consent_event") == 7, "one yes of record 1 came twice"


def test_a_record_of_an_erased_person_that_names_somebody_else_is_news_like_any_other(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.sync(BRAND, [row(0, "yes", 1)])
    erase("brand", source="shop", record_id="0", actor="tests", dsn=store.dsn, now=NOW)
    store.sync(BRAND, [("0", *row(1, "yes", 2)[1:]), row(2, "yes", 2)])
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []
    assert list(store.people().values()).count("subscribed") == 2


def test_a_strangers_stop_during_the_reconcile_that_brings_the_number_counts(store: Store) -> None:
    write_csv(store.folder / "shop.csv", [row(0, "yes", 1), row(1, "yes", 1)])
    store.pull(BRAND, "shop")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(store.dsn) as other:
        # At this table whoever is new is known, and not yet written.
        other.execute("lock table source_record in share mode")
        running = pool.submit(store.reconcile, BRAND)
        waiting = """select count(*) from pg_stat_activity
                     where application_name = 'reconcile brand' and wait_event_type = 'Lock'"""
        while not store.value(waiting):
            time.sleep(0.02)
        other.execute(
            "insert into suppression (entity, person_hash, reason, source, said_at) "
            "values ('brand', %s, 'opted_out', 'whatsapp', %s)",
            [person_hash(KEY, ONE), BEGIN + timedelta(days=3)],
        )
        other.commit()
        running.result()
    assert store.people() == {ONE: "unsubscribed", row(1, "yes", 1)[1]: "subscribed"}
    assert store.value("select count(*) from consent_event where action = 'withdraw'") == 1
    with psycopg.connect(store.dsn, row_factory=dict_row) as conn:
        assert rebuild(conn, BRAND, now=NOW) == 0


def test_the_guard_counts_what_is_written_directly(store: Store) -> None:
    brand = BRAND.model_copy(
        update={
            "settings": BRAND.settings.model_copy(
                update={"guard": BRAND.settings.guard.model_copy(update={"min_people": 10})}
            )
        }
    )
    store.sync(brand, [row(place, "yes", 1) for place in range(20)])
    held = store.sync(brand, [row(place, "yes" if place >= 5 else "no", 2) for place in range(20)])
    assert held.state == "held"
    assert held.guard is not None
    assert held.guard.opted_out == 5
    assert set(store.people().values()) == {"subscribed"}, "nothing is written of a run that is held"
    assert store.value("select count(*) from consent_event") == 20
