"""Opt-outs on their way back: at least once, safe to repeat, and visible while they wait."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from pydantic import ValidationError

from include.entities.models import OptOutBack
from include.optins import HttpAccess, SourceShapeChanged, SourceUnavailable
from include.optins.sources import actito, http
from include.subscriptions import backlog, propagate, retry
from tests.support.json_api import Answer, Request, json_api
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
        assert told == {"done": 3, "failed": 0, "later": 0, "given_up": 0, "due": 0}
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
    assert told == {"done": 2, "failed": 0, "later": 0, "given_up": 1, "due": 0}
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


def test_an_api_is_told_in_batches_and_one_bad_record_spoils_none(store: Store) -> None:
    back = OptOutBack(
        path="/stop",
        method="POST",
        batch=2,
        body={"channel": "whatsapp", "people": [{"id": "{record_id}", "at": "{occurred_at}"}]},
    )
    brand = conflicted(store, source("shop", kind="http", optout=back))

    def answer(request: Request, _: int) -> Answer:
        people = [each["id"] for each in json.loads(request.body)["people"]]
        return Answer({}, 422 if "1" in people else 200)

    with json_api(answer) as api:
        told = propagate(brand, brand.source("shop"), HttpAccess(api.url), dsn=store.dsn, now=NOW)
        bodies = [json.loads(request.body) for request in api.requests]
    assert told == {"done": 2, "failed": 0, "later": 0, "given_up": 1, "due": 0}
    sizes = [len(body["people"]) for body in bodies]
    assert sizes in ([2, 1, 1, 1], [2, 1]), "the batch that was refused, one by one"
    assert sorted({each["id"] for body in bodies for each in body["people"]}) == ["0", "1", "2"]
    assert bodies[0]["channel"] == "whatsapp"
    assert {each["at"] for each in bodies[0]["people"]} == {AT.format(2)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": {"id": "{record_id}"}},
        {"body": {"a": ["x"], "b": ["y"]}},
        {"body": {"a": ["x"]}, "path": "/{record_id}"},
    ],
)
def test_a_batch_that_could_not_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OptOutBack(**{"path": "/stop", "batch": 2, **wrong})


def test_the_days_bulk_calls_are_counted_whoever_restarts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Actito: 24 bulk calls a table in 24 hours. After them people are told one by one, and the rest later."""
    monkeypatch.setattr(actito, "SINGLE", 2)
    options = {"entity": "acme", "table": "t", "subscription": "W", "bulk": {"etl": "e", "above": 1}}
    shop = source("shop", kind="actito", optout=OptOutBack(), options=options)
    brand = conflicted(store, shop)
    calls: list[str] = []

    def answer(request: Request, _: int) -> Answer:
        if request.path == "/auth/token":
            return Answer({"accessToken": "t", "expiresIn": "900s"})
        calls.append(request.method)
        return Answer({}, 429 if request.method == "POST" and len(calls) > 24 else 200)

    def tell(now: Any) -> dict[str, int]:
        store.execute("update optout_outbox set state = 'due', next_attempt_at = %s, done_at = null", NOW)
        access = HttpAccess(api.url, headers={"Authorization": "Bearer key"}, timeout=5)
        return propagate(brand, shop, access, dsn=store.dsn, now=now)

    with json_api(answer) as api:
        for _ in range(24):
            assert tell(NOW)["done"] == 3
        assert calls == ["POST"] * 24
        assert tell(NOW + timedelta(hours=23)) == {
            "done": 2,
            "failed": 0,
            "later": 1,
            "given_up": 0,
            "due": 1,
        }
        assert calls[24:] == ["PUT"] * 2
        waiting = store.rows("select attempts, problem from optout_outbox where state = 'due'")
        assert waiting == [{"attempts": 24, "problem": "waits for its turn"}], "waiting is no attempt"
        # A day later our count allows a bulk call. Actito's own count may differ: its 429 leads to single calls, too.
        monkeypatch.setattr(http, "LONGEST_WAIT", 0.01)
        assert tell(NOW + timedelta(hours=25))["done"] == 2
        assert calls[26:] == ["POST"] * 6 + ["PUT"] * 2
    assert store.value("select count(*) from bulk_call") == 25


def test_what_lags_or_was_given_up_is_seen_and_taken_up_again(store: Store) -> None:
    brand = conflicted(store, source("shop", kind="http", optout=OptOutBack(path="/{record_id}")))
    with json_api(lambda request, _: Answer({}, 404 if request.path == "/1" else 200)) as api:
        propagate(brand, brand.source("shop"), HttpAccess(api.url), dsn=store.dsn, now=NOW)
    store.execute("update optout_outbox set state = 'due', done_at = null where source_record_id = '2'")
    with psycopg.connect(store.dsn, row_factory=dict_row) as conn:
        (row,) = backlog(conn, "brand", now=NOW + timedelta(hours=1))
    assert row == {
        "source": "shop", "due": 1, "oldest": NOW, "given_up": 1, "told": 1, "problem": "HTTP 404",
    }  # fmt: skip
    assert retry("brand", source="elsewhere", dsn=store.dsn, now=NOW) == 0
    assert retry("brand", dsn=store.dsn, now=NOW) == 1
    with json_api(lambda *_: Answer({})) as api:
        later = NOW + timedelta(hours=1)
        told = propagate(brand, brand.source("shop"), HttpAccess(api.url), dsn=store.dsn, now=later)
    assert told["done"] == 2
