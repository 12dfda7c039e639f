"""Opt-outs on their way back: at least once, safe to repeat, and visible while they wait."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from include.entities.models import OptOutBack
from include.optins import HttpAccess, SourceShapeChanged, SourceUnavailable
from include.optins.sources import http
from include.subscriptions import propagate
from tests.support.json_api import Answer, json_api
from tests.support.optins import NOW, Store, entity, source, write_csv

STATEMENT = "update people set optin = false, at = :occurred_at where id = :record_id and optin"
AT = "2026-03-0{}T10:00:00Z"


def conflicted(store: Store, *others: Any) -> Any:
    """Three people said yes in `shop` and later no in `desk`."""
    brand = entity(*others, source("desk"))
    rows = [(str(n), f"047012345{n}", "yes", AT.format(1), None, None, None) for n in range(3)]
    for name, answer, day in (("shop", "yes", 1), ("desk", "no", 2)):
        write_csv(
            store.folder / f"{name}.csv", [(*row[:2], answer, AT.format(day), *row[4:]) for row in rows]
        )
        chosen = entity(source(name), source("desk"))
        store.pull(chosen, name)
        store.reconcile(chosen)
    return brand


def states(store: Store) -> list[tuple[str, int]]:
    return [
        tuple(row.values()) for row in store.rows("select state, attempts from optout_outbox order by id")
    ]


def test_a_database_is_told_once(store: Store, database: str) -> None:
    brand = conflicted(store, source("shop", kind="sql", optout=OptOutBack(statement=STATEMENT)))
    with psycopg.connect(database) as shop:
        shop.execute("create table people (id text, optin boolean, at timestamptz)")
        shop.execute("insert into people select n::text, true, now() from generate_series(0, 3) n")
        shop.commit()
        told = propagate(brand, brand.source("shop"), shop, dsn=store.dsn, now=NOW)
        assert told == {"done": 3, "failed": 0, "given_up": 0, "due": 0}
        assert propagate(brand, brand.source("shop"), shop, dsn=store.dsn, now=NOW)["done"] == 0
        left = shop.execute("select id from people where optin").fetchall()
    assert left == [("3",)]
    assert states(store) == [("done", 1)] * 3


def test_a_source_that_is_down_is_told_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LONGEST_WAIT", 0.01)
    brand = conflicted(store, source("shop", kind="http", optout=OptOutBack(path="/{record_id}")))
    with json_api(lambda *_: Answer({}, 503)) as api, pytest.raises(SourceUnavailable):
        propagate(brand, brand.source("shop"), HttpAccess(api.url), dsn=store.dsn, now=NOW)
    assert states(store) == [("due", 0)] * 3
    with json_api(lambda *_: Answer({})) as api:
        assert (
            propagate(brand, brand.source("shop"), HttpAccess(api.url), dsn=store.dsn, now=NOW)["done"] == 3
        )
        assert sorted(request.path for request in api.requests) == ["/0", "/1", "/2"]


def test_a_record_that_the_source_refuses_is_given_up_and_stays_visible(store: Store) -> None:
    brand = conflicted(store, source("shop", kind="http", optout=OptOutBack(path="/{record_id}")))
    with json_api(lambda request, _: Answer({}, 404 if request.path == "/1" else 200)) as api:
        told = propagate(brand, brand.source("shop"), HttpAccess(api.url), dsn=store.dsn, now=NOW)
    assert told == {"done": 2, "failed": 0, "given_up": 1, "due": 0}
    (row,) = store.rows("select source_record_id, problem from optout_outbox where state = 'given_up'")
    assert row == {"source_record_id": "1", "problem": "HTTP 404"}


def test_files_are_delivered(store: Store) -> None:
    brand = conflicted(store, source("shop"))
    assert (
        propagate(brand, brand.source("shop"), store.folder, dsn=store.dsn, now=NOW + timedelta(hours=1))[
            "done"
        ]
        == 3
    )
    (file,) = (store.folder / "optouts").iterdir()
    assert len(file.read_text().splitlines()) == 4


def test_without_a_way_back_it_is_said(store: Store) -> None:
    brand = conflicted(store, source("shop", optout=None))
    with pytest.raises(SourceShapeChanged, match="no `optout`"):
        propagate(brand, brand.source("shop"), store.folder, dsn=store.dsn, now=NOW)
