"""The rules under random histories: the table follows from what was said, never from the order in which we heard it.

A group is three records of two sources and four numbers, in one small world of a few days, so that everything happens
to it: contradictions, ties, numbers that change hands, people with two numbers, numbers with two people, a "no" without
a number. WHATSAPP_TEST_GROUPS sets how many groups are tried: 34,000 are the histories of 10⁵ records.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg.rows import dict_row

from include.local.postgres import Postgres
from include.subscriptions import rebuild
from tests.support.optins import NOW, Store, entity, source, write_csv

GROUPS = int(os.environ.get("WHATSAPP_TEST_GROUPS", "1000"))
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
SOURCES = ("shop", "desk")
BRAND = entity(*(source(name) for name in SOURCES))
TABLE = """select p.phone, p.status, p.status_at, p.language, p.attributes, e.source, e.source_record_id, e.action,
                  x.reason as suppressed
           from subscription p
           left join consent_event e on e.id = p.consent_event_id
           left join suppression x on x.person_hash = p.person_hash
           order by p.phone"""


class Version(NamedTuple):
    """A record as its source had it from day `day` on; `number` 0–3 of its group, None for one that cannot be read."""

    source: str
    record: str
    group: int
    number: int | None
    consent: bool
    day: int
    name: str

    @property
    def phone(self) -> str:
        return f"+32470{self.group * 4 + (self.number or 0):06d}"

    def row(self) -> tuple[str, ...]:
        at = BEGIN + timedelta(days=self.day)
        return (
            self.record,
            "removed" if self.number is None else self.phone,
            "yes" if self.consent else "no",
            at.isoformat(),
            random.Random(self.name).choice(["nl", "fr", ""]),
            self.name,
            "",
        )


def histories(dice: random.Random, *, distinct: bool) -> list[Version]:
    """Versions of many groups' records; with `distinct`, a record never has two versions of one day."""
    versions = []
    for group in range(GROUPS):
        for place in range(3):
            name, record = SOURCES[place % 2], f"{group}-{place}"
            count = dice.randrange(1, 5)
            days = dice.sample(range(8), count) if distinct else dice.choices(range(8), k=count)
            for day in days:
                consent = dice.random() < 0.6
                number = None if not consent and dice.random() < 0.25 else dice.randrange(4)
                versions.append(
                    Version(name, record, group, number, consent, day, f"n{dice.randrange(1000)}")
                )
    return versions


def deliver(store: Store, versions: list[Version], dice: random.Random) -> None:
    """Pull and reconcile the versions in a random order, in a few batches, some of them twice."""
    shuffled = dice.sample(versions, len(versions))
    batches = dice.randrange(2, 6)
    for start in range(batches):
        batch = [*shuffled[start::batches], *dice.sample(shuffled, len(shuffled) // 10)]
        for name in dice.sample(SOURCES, 2):
            rows = [version.row() for version in batch if version.source == name]
            write_csv(store.folder / f"{name}.csv", rows)
            store.pull(BRAND, name)
            if dice.random() < 0.5:
                store.reconcile(BRAND)
    store.reconcile(BRAND)


def decided(versions: list[Version]) -> dict[str, tuple[str, datetime]]:
    """State and its time by number, told again from the rules' words: the oracle."""
    by_record: dict[str, list[Version]] = defaultdict(list)
    for version in versions:
        by_record[version.record].append(version)
    said: dict[str, list[tuple[int, bool, str]]] = defaultdict(list)
    named: dict[str, str] = {}
    for record, each in by_record.items():
        numbered = [version for version in each if version.number is not None]
        withdrawn = [version.day for version in each if not version.consent]
        for version in numbered:
            said[version.phone].append((version.day, version.consent, record))
        if numbered:
            named[record] = max(numbered, key=lambda version: version.day).phone
        if withdrawn:
            for phone in {version.phone for version in numbered}:
                said[phone].append((max(withdrawn), False, record))
    states = {}
    for phone, events in said.items():
        counting = [event for event in events if not event[1] or named[event[2]] == phone]
        day, consent, _ = max(counting or events, key=lambda event: (event[0], not event[1]))
        state = "unsubscribed" if not consent else "subscribed" if counting else "expired"
        states[phone] = (state, BEGIN + timedelta(days=day))
    return states


@pytest.fixture
def second_store(postgres: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    dsn = postgres.create_database("rules_second", template=migrated_template)
    yield Store(dsn, tmp_path_factory.mktemp("second"))
    postgres.drop_database("rules_second")


@pytest.mark.timeout(1800)
def test_the_table_is_what_the_rules_say(store: Store) -> None:
    dice = random.Random(1)
    versions = histories(dice, distinct=True)
    deliver(store, versions, dice)
    found = store.rows("select phone, status, status_at from subscription")
    assert {row["phone"]: (row["status"], row["status_at"]) for row in found} == decided(versions)


@pytest.mark.timeout(1800)
def test_the_order_of_arrival_never_changes_the_outcome(store: Store, second_store: Store) -> None:
    versions = histories(random.Random(2), distinct=False)
    for each, seed in ((store, 3), (second_store, 4)):
        deliver(each, versions, random.Random(seed))
    assert store.rows(TABLE) == second_store.rows(TABLE)
    with psycopg.connect(store.dsn, row_factory=dict_row) as conn:
        assert rebuild(conn, BRAND, now=NOW) == 0
