"""A source that changed its shape stops its pull before anything is kept, and says what changed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from include.entities.models import Contract
from include.optins import SourceShapeChanged
from tests.support.optins import NOW, Store, entity, source, write_csv

RECORDS = 300


def rows(**changes: Any) -> list[tuple[Any, ...]]:
    """Records like any other, but for the columns named."""
    usual = {
        "phone": "04701{:05d}",
        "consent": "yes",
        "changed": "2026-03-01T10:00:00Z",
        "name": "An",
        "city": "Gent",
    }
    values = usual | changes
    return [
        (
            f"r{n}",
            (values["phone"] or "").format(n),
            values["consent"],
            values["changed"],
            "nl",
            values["name"],
            values["city"],
        )
        for n in range(RECORDS)
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"city": None}, r"column 'city' is empty in 100% of the records, it was in 0%"),
        ({"name": "12345"}, r"100% of column 'name' look like a number, it was 0%"),
        ({"consent": "agreed"}, r"none of the 300 records can be taken \(consent_unreadable 300\)"),
        ({"changed": "01/03/2026"}, r"none of the 300 records can be taken \(changed_at_unreadable 300\)"),
    ],
)
def test_a_changed_shape_is_told_and_nothing_is_kept(
    store: Store, changes: dict[str, Any], told: str
) -> None:
    brand = entity(source())
    write_csv(store.folder / "drop.csv", rows())
    store.pull(brand)
    write_csv(store.folder / "drop.csv", rows(**changes))
    with pytest.raises(SourceShapeChanged, match=told):
        store.pull(brand)
    assert [row["state"] for row in store.rows("select state from sync_run order by id")] == [
        "staged",
        "failed",
    ]
    assert store.value("select count(*) from optin_staging") == RECORDS
    assert store.value("select count(*) from rejected_record") == 0


def test_a_few_records_prove_nothing(store: Store) -> None:
    brand = entity(source())
    write_csv(store.folder / "drop.csv", rows())
    store.pull(brand)
    write_csv(store.folder / "drop.csv", rows(city=None)[:100])
    assert store.pull(brand).staged == 100


def test_a_change_on_purpose_is_accepted_from_its_day_on(store: Store) -> None:
    write_csv(store.folder / "drop.csv", rows())
    store.pull(entity(source()))
    write_csv(store.folder / "drop.csv", rows(city=None))
    tomorrow = NOW + timedelta(days=1)
    changed = entity(source(contract=Contract(changed_on=date(2026, 5, 2))))
    assert store.pull(changed, now=tomorrow).staged == RECORDS


def test_what_changed_since_yesterday_is_not_compared_with_everything(store: Store) -> None:
    brand = entity(source())
    write_csv(store.folder / "drop.csv", rows())
    store.pull(brand)
    store.reconcile(brand)
    write_csv(store.folder / "drop.csv", rows(city=None))
    assert store.pull(brand).since is not None
    write_csv(store.folder / "drop.csv", rows(city=None, name="7"))
    with pytest.raises(SourceShapeChanged, match="column 'name'"):
        store.pull(brand)
