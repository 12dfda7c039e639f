"""However a source is pulled, often or once, again, late, from the beginning or after a loss: the table is the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from include.entities import Entity
from include.entities.models import Columns
from tests.support.optins import NOW, Store, entity, source

COLUMNS = Columns(
    record_id="id", phone="tel", consent="ok", changed_at="said", attributes={"city": "city"}, language="lang"
)
CRM = source("crm", kind="sql", columns=COLUMNS, options={"table": "crm.people", "changed_column": "touched"})
STEPS, PEOPLE = 6, 60
HOUR = timedelta(hours=1)


def brand(name: str) -> Entity:
    return entity(CRM, name=name, label=name)


class Crm:
    """A source system in the same server, and what happens in it."""

    def __init__(self, store: Store, conn: psycopg.Connection[Any]) -> None:
        self.store, self.conn, self.chance = store, conn, random.Random(3)
        conn.execute("create schema crm")
        conn.execute(
            "create table crm.people (id int primary key, tel text, ok bool, said timestamptz, city text, lang text, "
            "touched timestamptz)"
        )

    def change(self, step: int) -> None:
        """Some people change something; some rows are committed late, with a time before the last pull's newest."""
        for person in self.chance.sample(range(PEOPLE), PEOPLE // 3):
            late = timedelta(minutes=self.chance.choice((0, 5, 90)))
            touched = NOW + step * HOUR + timedelta(minutes=50, seconds=person) - late
            self.conn.execute(
                "insert into crm.people values (%s, %s, %s, %s, %s, %s, %s) on conflict (id) do update set ok = "
                "excluded.ok, said = excluded.said, city = excluded.city, touched = excluded.touched "
                "where people.touched < excluded.touched",
                [
                    person,
                    f"04701{person:05d}",
                    self.chance.random() < 0.6,
                    touched - timedelta(seconds=1),
                    self.chance.choice(("Gent", "Luik", None)),
                    "nl",
                    touched,
                ],
            )
        self.conn.commit()

    def pull(self, name: str, now: datetime, *, run_key: str | None = None, whole: bool = False) -> None:
        with psycopg.connect(self.store.dsn) as access:
            self.store.pull(brand(name), now=now, access=access, run_key=run_key, whole=whole)

    def table(self, name: str) -> list[dict[str, Any]]:
        return self.store.rows(
            "select phone, status, status_at, attributes, language, country from subscription "
            "where entity = %s order by 1",
            name,
        )


@pytest.fixture
def crm(store: Store) -> Iterator[Crm]:
    with psycopg.connect(store.dsn) as conn:
        yield Crm(store, conn)


def test_every_way_of_pulling_gives_the_same_table(crm: Crm) -> None:
    store = crm.store
    for step in range(STEPS):
        crm.change(step)
        now = NOW + (step + 1) * HOUR
        crm.pull("every_hour", now)
        store.reconcile(brand("every_hour"), now=now)

        # A task that is tried again, and a run that is started twice by hand before anything is reconciled.
        for _ in range(2):
            crm.pull("again", now, run_key=f"try-{step}")
        crm.pull("again", now)
        store.reconcile(brand("again"), now=now)
        store.reconcile(brand("again"), now=now)

        # Backfill: everything from the beginning, every time.
        crm.pull("whole", now, whole=True)
        store.reconcile(brand("whole"), now=now)

        # Two runs of the same time, whose reconciling fails until the third hour; once the staged rows are lost.
        crm.pull("unlucky", now)
        if step == 1:
            store.execute("delete from optin_staging")
        if step >= 2:
            store.reconcile(brand("unlucky"), now=now)
    end = NOW + STEPS * HOUR
    crm.pull("once", end)
    store.reconcile(brand("once"), now=end)
    wanted = crm.table("once")
    assert len(wanted) > PEOPLE / 2
    assert len({row["status"] for row in wanted}) == 2
    for name in ("every_hour", "again", "whole", "unlucky"):
        assert crm.table(name) == wanted, name
    known = crm.conn.execute("select '+32' || substr(tel, 2), ok from crm.people order by 1").fetchall()
    assert [(row["phone"], row["status"] == "subscribed") for row in wanted if row["phone"]] == known


def test_a_rerun_writes_nothing(crm: Crm) -> None:
    crm.change(0)
    crm.pull("brand", NOW + HOUR)
    assert crm.store.reconcile(brand("brand"), now=NOW + HOUR).rows_written > 0
    before = crm.store.rows("select xmin::text, * from subscription order by id")
    crm.pull("brand", NOW + HOUR, whole=True)
    assert crm.store.reconcile(brand("brand"), now=NOW + HOUR).rows_written == 0
    assert crm.store.rows("select xmin::text, * from subscription order by id") == before
