"""What a source holds beside what we know: nobody's no is lost, and what time explains is no alarm."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from include.entities.models import OptOutBack
from include.optins.sources import shows_present_state
from include.reports.optins import differences_csv, untold_csv
from include.subscriptions import Comparison, ConsentDiffers, compare
from include.subscriptions.compare import raise_alerts
from tests.support.optins import NOW, Store, entity, source, write_csv

BRAND = entity(source("shop"), source("desk"))
SHOP = BRAND.source("shop")
DAY = timedelta(days=1)


def row(record: str, consent: str, day: int, number: str | None = None) -> tuple[Any, ...]:
    return record, number or f"047012345{record}", consent, f"2026-03-{day:02d}T10:00:00Z", None, None, None


def sync(store: Store, name: str, *rows: tuple[Any, ...]) -> None:
    write_csv(store.folder / f"{name}.csv", rows)
    store.pull(BRAND, name)
    store.reconcile(BRAND)


def look(store: Store, *rows: tuple[Any, ...], now: datetime = NOW + DAY) -> Comparison:
    """Compare with a shop that holds these records now."""
    write_csv(store.folder / "shop.csv", rows)
    return compare(BRAND, SHOP, store.folder, dsn=store.dsn, now=now)


def told(store: Store, at: datetime) -> None:
    store.execute("update optout_outbox set state = 'done', done_at = %s, attempts = 1", at)


def test_a_source_that_agrees_has_no_difference(store: Store) -> None:
    sync(store, "shop", row("1", "yes", 1), row("2", "no", 1))
    assert look(store, row("1", "yes", 1), row("2", "no", 1)) == Comparison("shop", 2, {}, 0, 0)
    assert store.rows("select records, alerts, differences from optin_comparison") == [
        {"records": 2, "alerts": 0, "differences": {}}
    ]


def test_who_withdrew_here_and_says_yes_there_is_an_alarm_and_is_told_again(store: Store) -> None:
    sync(store, "shop", row("1", "yes", 1), row("2", "yes", 1))
    sync(store, "desk", row("1", "no", 2))
    told(store, NOW)
    found = look(store, row("1", "yes", 1), row("2", "yes", 1))
    assert (found.differences, found.alerts, found.told_again) == ({"withdrawn_here_true_there": 1}, 1, 1)
    assert store.rows("select state, attempts, source_record_id from optout_outbox") == [
        {"state": "due", "attempts": 0, "source_record_id": "1"}
    ]
    with pytest.raises(ConsentDiffers, match=r"1 people withdrew here and say yes there: 1 are told again"):
        raise_alerts(found, "brand")
    with psycopg.connect(store.dsn) as conn:
        lines = b"".join(differences_csv(conn, "brand")).decode().splitlines()
        waiting = b"".join(untold_csv(conn, "brand")).decode().splitlines()
    assert lines[1].startswith("shop,1,withdrawn_here_true_there,t,2026-03-01T10:00:00Z,2026-03-02T10:00:00Z")
    assert waiting[1].startswith("shop,1,2026-03-02T10:00:00Z,due,0")
    assert look(store, row("1", "no", 3), row("2", "yes", 1)).alerts == 0, "the shop has taken it"
    assert store.value("select count(*) from optin_difference where is_alert") == 0


def test_a_yes_that_cannot_be_taken_is_a_yes_all_the_same(store: Store) -> None:
    sync(store, "shop", row("1", "yes", 1))
    sync(store, "desk", row("1", "no", 2))
    told(store, NOW)
    assert look(store, row("1", "yes", 1, number="junk")).alerts == 1


def test_what_time_explains_is_no_alarm(store: Store) -> None:
    sync(store, "shop", row("1", "yes", 1), row("2", "yes", 1), row("3", "yes", 1), row("4", "yes", 1))
    sync(store, "desk", row("1", "no", 2), row("2", "no", 2))
    store.execute("update optout_outbox set created_at = %s", NOW + DAY - timedelta(hours=1))
    found = look(
        store,
        row("1", "yes", 1),  # its opt-out has been due for an hour
        row("2", "yes", 3),  # said yes again, which the next pull brings
        row("3", "no", 3),  # said no, which the next pull brings
        row("5", "yes", 3),  # is new, and 4 is gone
    )
    assert found.differences == {
        "on_its_way": 1, "newer_yes_there": 1, "newer_no_there": 1, "yes_unknown_here": 1, "gone_there": 1,
    }  # fmt: skip
    assert (found.alerts, found.told_again) == (0, 0)
    raise_alerts(found, "brand")
    # The same opt-out, still not told a day later.
    assert look(store, row("1", "yes", 1), now=NOW + 2 * DAY).differences["withdrawn_here_true_there"] == 1


def test_a_no_that_the_pulls_cannot_see_is_an_alarm(store: Store) -> None:
    sync(store, "shop", row("1", "yes", 1), row("2", "yes", 5))
    found = look(store, row("1", "no", 2), row("2", "yes", 5))
    assert (found.differences, found.alerts) == ({"withdrawn_there_true_here": 1}, 1)
    with pytest.raises(ConsentDiffers, match="with \\*whole\\* switched on"):
        raise_alerts(found, "brand")
    store.pull(BRAND, "shop")
    store.reconcile(BRAND)
    assert look(store, row("1", "no", 2), row("2", "yes", 5)).differences == {}


def test_a_yes_of_another_source_is_no_difference(store: Store) -> None:
    sync(store, "shop", row("1", "no", 1))
    sync(store, "desk", row("1", "yes", 2))
    assert look(store, row("1", "no", 1)).differences == {}


def test_comparing_changes_nobody_and_twice_at_once_ends_in_one_result(store: Store) -> None:
    sync(store, "shop", row("1", "yes", 1), row("2", "yes", 1))
    sync(store, "desk", row("1", "no", 2))
    before = store.rows("select * from subscription order by id")
    first = look(store, row("1", "yes", 1), row("2", "no", 9), now=NOW + 2 * DAY)
    again = look(store, row("1", "yes", 1), row("2", "no", 9), now=NOW + 2 * DAY)
    assert first.differences == again.differences
    assert store.rows("select * from subscription order by id") == before
    assert store.value("select count(*) from optin_difference") == 2
    assert store.value("select count(*) from optout_outbox") == 1


def test_which_sources_are_compared() -> None:
    kinds = {
        kind: shows_present_state(source(kind=kind)) for kind in ("sql", "http", "actito", "file", "inbound")
    }
    assert kinds == {"sql": True, "http": True, "actito": True, "file": False, "inbound": False}
    assert shows_present_state(source(kind="file", compare=True))
    assert not shows_present_state(source(kind="sql", optout=OptOutBack(statement="x"), compare=False))
