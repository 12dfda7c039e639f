"""The rules under random histories: the table follows from what was said, never from the order in which we heard it.

A sequence is what three records of three sources (one with double opt-in) and our own doors say of a few numbers within
a few days, so that everything happens to it: contradictions, ties, numbers that change hands, people with two numbers,
numbers with two people, a "no" without a number, confirmations, expiries. Each of 10⁵ sequences arrives in an order of
its own, in pieces, some of them twice, and must come out as an oracle says that sees it whole.
WHATSAPP_TEST_SEQUENCES sets how many are tried.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import psycopg
import pyarrow as pa
import pytest
from psycopg.rows import dict_row

from include.database.copy import copy_table
from include.local.postgres import Postgres
from include.subscriptions import rebuild
from include.subscriptions.projection import project_people
from tests.support.optins import NOW, Store, entity, source, write_csv

SEQUENCES = int(os.environ.get("WHATSAPP_TEST_SEQUENCES", "100000"))
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
SOURCES = ("shop", "desk", "form")
BRAND = entity(*(source(name, double_opt_in=name == "form") for name in SOURCES))
BATCHES = 3
DAYS = [BEGIN + timedelta(days=day) for day in range(8)]
STATES = "select phone, status, status_at from subscription"
TABLE = """select p.phone, p.status, p.status_at, p.language, p.attributes, e.source, e.source_record_id, e.action,
                  x.reason as suppressed
           from subscription p
           left join consent_event e on e.id = p.consent_event_id
           left join suppression x on x.person_hash = p.person_hash
           order by p.phone"""


class Said(NamedTuple):
    """One thing said on day `day`; `number` 0–2 of its sequence, None for one that cannot be read.

    By a source's record (`grant`, `withdraw`), or at our own door (`record` is empty): also `confirm` and `expire`.
    """

    source: str
    record: str
    sequence: int
    number: int | None
    what: Literal["grant", "withdraw", "confirm", "expire"]
    day: int
    name: str = ""

    @property
    def phone(self) -> str:
        return f"+32470{self.sequence * 3 + (self.number or 0):06d}"

    @property
    def at(self) -> datetime:
        return DAYS[self.day]


def histories(dice: random.Random, sequences: int, *, distinct: bool, doors: bool) -> list[Said]:
    """What is said in many sequences; with `distinct`, a record never says two things on one day."""
    said = []
    for sequence in range(sequences):
        numbers = set()
        for name in SOURCES:
            count = dice.choice((0, 1, 1, 1, 2, 3))
            days = dice.sample(range(8), count) if distinct else dice.choices(range(8), k=count)
            for day in days:
                yes = dice.random() < 0.65
                number = None if not yes and dice.random() < 0.25 else dice.choice((0, 0, 1, 2))
                numbers.add(number)
                what: Any = "grant" if yes else "withdraw"
                label = f"n{dice.randrange(1000)}"
                said.append(Said(name, f"{sequence}-{name}", sequence, number, what, day, label))
        named = sorted(numbers - {None})
        if doors and named:
            for _ in range(dice.choice((0, 0, 1, 1, 2))):
                what = dice.choice(("grant", "withdraw", "confirm", "expire"))
                said.append(Said("whatsapp", "", sequence, dice.choice(named), what, dice.randrange(8)))
    return said


def decided(said: list[Said]) -> dict[str, tuple[str, datetime]]:
    """State and its time by number, told again from the rules' words: the oracle."""
    by_record: dict[str, list[Said]] = defaultdict(list)
    heard: dict[str, list[tuple[int, str, bool]]] = defaultdict(list)
    for each in said:
        if each.record:
            by_record[each.record].append(each)
        else:
            what = "grant" if each.what == "confirm" else each.what
            heard[each.phone].append((each.day, what, True))
    for versions in by_record.values():
        numbered = [each for each in versions if each.number is not None]
        if not numbered:
            continue
        now_names = max(numbered, key=lambda each: each.day).phone
        for each in numbered:
            what = "ask" if each.what == "grant" and each.source == "form" else each.what
            heard[each.phone].append((each.day, what, each.phone == now_names))
        withdrawn = [each.day for each in versions if each.what == "withdraw"]
        for phone in {each.phone for each in numbered} if withdrawn else ():
            heard[phone].append((max(withdrawn), "withdraw", True))
    states = {phone: _state(events) for phone, events in heard.items()}
    return {phone: (state, DAYS[day]) for phone, (state, day) in states.items()}


def _state(events: list[tuple[int, str, bool]]) -> tuple[str, int]:
    """The state that follows from events (day, what, whether its record still names the number)."""
    expiry = max((day for day, what, _ in events if what == "expire"), default=-1)
    counts = [(day, what) for day, what, named in events if what == "withdraw" or (what == "grant" and named)]
    moved = [day for day, what, named in events if what == "grant" and not named]
    state, since, open_to_ask = "", -1, True
    if counts:
        since, what = max(counts, key=lambda event: (event[0], event[1] == "withdraw"))
        state, open_to_ask = ("unsubscribed", False) if what == "withdraw" else ("subscribed", False)
        if state == "subscribed" and expiry >= since:
            state, since = "expired", expiry
    elif moved:
        state, since = "expired", max(moved)
    asks = [(named, day) for day, what, named in events if what == "ask"]
    if not asks:
        return state, since
    named, day = max(asks)
    asked, asked_at = ("expired", expiry) if expiry >= day else ("pending" if named else "expired", day)
    if not state:
        return asked, asked_at
    if asked == "pending" and state != "subscribed" and (open_to_ask or asked_at > since):
        return asked, asked_at
    return state, since


def stage(store: Store, said: list[Said]) -> None:
    """Put records into staging as a pull does, one run for each source."""
    with psycopg.connect(store.dsn, row_factory=dict_row) as conn:
        for chosen in BRAND.sources:
            rows = [each for each in said if each.source == chosen.name]
            run = conn.execute(
                """insert into sync_run (entity, source, state, staged, collection_point, method, wording_id,
                                         double_opt_in)
                   values ('brand', %s, 'staged', %s, 'a form', 'checkbox', 'w1', %s) returning id""",
                (chosen.name, len(rows), chosen.double_opt_in),
            ).fetchone()
            assert run is not None
            phones = pa.array([None if each.number is None else each.phone for each in rows], pa.string())
            moments = pa.array([each.at for each in rows], pa.timestamp("us", "UTC"))
            columns = {
                "sync_run_id": pa.array([run["id"]] * len(rows), pa.int64()),
                "record_id": pa.array([each.record for each in rows], pa.string()),
                "phone": phones,
                "match_key": phones,
                "consent": pa.array([each.what == "grant" for each in rows], pa.bool_()),
                "timed": pa.array([True] * len(rows), pa.bool_()),
                "occurred_at": moments,
                "record_at": moments,
                "attributes": pa.array(["{}"] * len(rows), pa.string()),
            }
            copy_table(conn, "optin_staging", pa.table(columns), jsonb=["attributes"])


def say_at_our_doors(store: Store, said: list[Said]) -> list[Said]:
    """Write to the ledger what people said to us, of those we know; returns the rest."""
    with psycopg.connect(store.dsn, row_factory=dict_row) as conn:
        known = {
            row["phone"]: row["id"] for row in conn.execute("select id, phone from subscription").fetchall()
        }
        now = [each for each in said if each.phone in known]
        conn.cursor().executemany(
            """insert into consent_event (subscription_id, action, occurred_at, source, source_record_id,
                                          collection_point, method, wording_id, wording_language)
               values (%s, %s, %s, 'whatsapp', 'door', 'reply', 'keyword', 'w1', 'en') on conflict do nothing""",
            [(known[each.phone], each.what, each.at) for each in now],
        )
        project_people(conn, "brand", {known[each.phone] for each in now}, now=NOW)
    return [each for each in said if each.phone not in known]


def deliver_files(store: Store, said: list[Said], dice: random.Random) -> None:
    """The long way, through files and pulls: in a random order, in a few batches, some of them twice."""
    shuffled = dice.sample(said, len(said))
    batches = dice.randrange(2, 6)
    for start in range(batches):
        batch = [*shuffled[start::batches], *dice.sample(shuffled, len(shuffled) // 10)]
        for name in dice.sample(SOURCES, len(SOURCES)):
            rows = [
                (
                    each.record,
                    "removed" if each.number is None else each.phone,
                    "yes" if each.what == "grant" else "no",
                    each.at.isoformat(),
                    random.Random(each.name).choice(["nl", "fr", ""]),
                    each.name,
                    "",
                )
                for each in batch
                if each.source == name
            ]
            write_csv(store.folder / f"{name}.csv", rows)
            store.pull(BRAND, name)
            if dice.random() < 0.5:
                store.reconcile(BRAND)
    store.reconcile(BRAND)


@pytest.fixture
def second_store(postgres: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    dsn = postgres.create_database("rules_second", template=migrated_template)
    yield Store(dsn, tmp_path_factory.mktemp("second"))
    postgres.drop_database("rules_second")


@pytest.mark.timeout(900)
def test_in_whatever_order_they_arrive_the_table_is_what_the_rules_say(store: Store) -> None:
    dice = random.Random(1)
    said = histories(dice, SEQUENCES, distinct=True, doors=True)
    batches: list[list[Said]] = [[] for _ in range(BATCHES)]
    for each in said:
        batches[dice.randrange(BATCHES)].append(each)
        if dice.random() < 0.05:
            batches[dice.randrange(BATCHES)].append(each)
    waiting: list[Said] = []
    for batch in batches:
        dice.shuffle(batch)
        stage(store, [each for each in batch if each.record])
        assert store.reconcile(BRAND).state == "applied"
        waiting = say_at_our_doors(store, waiting + [each for each in batch if not each.record])
    assert not waiting
    found = {row["phone"]: (row["status"], row["status_at"]) for row in store.rows(STATES)}
    wanted = decided(said)
    wrong = {
        phone: (found.get(phone), wanted[phone]) for phone in wanted if found.get(phone) != wanted[phone]
    }
    assert not wrong, f"{len(wrong)} of {len(wanted)}, such as {list(wrong.items())[:3]}"
    assert found.keys() == wanted.keys()
    if SEQUENCES > 1000:
        states = {state for state, _ in wanted.values()}
        assert states == {"subscribed", "unsubscribed", "pending", "expired"}
    suppressed = "select count(*) from suppression x join subscription p using (entity, person_hash)"
    assert store.value(f"{suppressed} where p.status <> 'unsubscribed'") == 0
    assert store.value(suppressed) == sum(state == "unsubscribed" for state, _ in wanted.values())


@pytest.mark.timeout(900)
def test_two_orders_of_arrival_end_in_the_same_table_and_so_does_a_rebuild(
    store: Store, second_store: Store
) -> None:
    said = histories(random.Random(2), 1000, distinct=False, doors=False)
    for each, seed in ((store, 3), (second_store, 4)):
        deliver_files(each, said, random.Random(seed))
    table = store.rows(TABLE)
    assert table == second_store.rows(TABLE)
    with psycopg.connect(store.dsn, row_factory=dict_row) as conn:
        assert rebuild(conn, BRAND, now=NOW) == 0
        conn.execute(
            "update subscription set status = 'unknown', status_at = null, consent_event_id = null, language = null, "
            "attributes = '{}'"
        )
        assert rebuild(conn, BRAND, now=NOW) == len(table)
    assert store.rows(TABLE) == table
