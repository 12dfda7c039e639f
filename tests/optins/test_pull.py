"""A pull: what is taken, what is set aside and why, and that it is all or nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from include.optins import SourceShapeChanged, SourceUnavailable
from tests.support.optins import NOW, Store, entity, source, write_csv

BRAND = entity(source())
AT = "2026-03-01T10:00:00Z"


def test_every_record_is_staged_or_rejected_with_its_reason(store: Store) -> None:
    write_csv(
        store.folder / "drop.csv",
        [
            ("1", "0470 12 34 56", "yes", AT, "nl-BE", "An", "Gent"),
            ("2", "0032/470.12.34.57", "JA", AT, "fr", 'Jo "the" Ö', None),
            ("3", "02 513 89 40", "yes", AT, None, None, None),
            ("4", "12", "yes", AT, None, None, None),
            ("5", "", "yes", AT, None, None, None),
            ("6", "+32470123458", "maybe", AT, None, None, None),
            ("7", "+32470123459", None, AT, None, None, None),
            ("8", "+32470123460", "yes", None, None, None, None),
            ("9", "+32470123461", "yes", "yesterday", None, None, None),
            ("10", "+32470123462", "yes", "2027-01-01T00:00:00Z", None, None, None),
            ("11", "+32470123463", "yes", "1970-01-01T00:00:00Z", None, None, None),
            (None, "+32470123464", "yes", AT, None, None, None),
            (None, "junk", "no", AT, None, None, None),
            ("12", "junk", "no", AT, None, None, None),
            (None, "+32470123465", "no", None, None, None, None),
        ],
    )
    result = store.pull(BRAND)
    assert result.reasons == {
        "not_mobile": 1,
        "phone_too_short": 1,
        "phone_empty": 1,
        "consent_unreadable": 1,
        "consent_missing": 1,
        "no_changed_at": 1,
        "changed_at_unreadable": 1,
        "changed_at_in_future": 1,
        "changed_at_implausible": 1,
        "no_record_id": 2,
    }
    assert (result.pulled, result.staged, result.rejected) == (15, 4, 11)
    assert store.reasons() == dict(sorted(result.reasons.items()))
    staged = store.rows("select * from optin_staging order by record_id")
    assert [(row["record_id"], row["phone"], row["consent"], row["timed"]) for row in staged] == [
        ("", "+32470123465", False, False),
        ("1", "+32470123456", True, True),
        ("12", None, False, True),
        ("2", "+32470123457", True, True),
    ]
    assert staged[1]["attributes"] == {"first_name": "An", "city": "Gent"}
    assert staged[1]["language"] == "nl"
    assert (staged[1]["country"], staged[1]["time_zone"]) == ("BE", "Europe/Brussels")
    assert staged[3]["attributes"] == {"first_name": 'Jo "the" Ö'}
    assert staged[1]["occurred_at"] == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert staged[0]["occurred_at"] == NOW


def test_times_without_an_offset_are_the_sources(store: Store) -> None:
    write_csv(
        store.folder / "drop.csv",
        [
            ("summer", "0470123456", "yes", "2025-07-01 10:00:00", None, None, None),
            ("winter", "0470123456", "yes", "2026-01-01T10:00", None, None, None),
            ("twice, yes", "0470123456", "yes", "2025-10-26 02:30:00", None, None, None),
            ("twice, no", "0470123456", "no", "2025-10-26 02:30:00", None, None, None),
            ("never", "0470123456", "yes", "2026-03-29 02:30:00", None, None, None),
            ("offset", "0470123456", "yes", "2026-01-01T10:00:00.5+05:30", None, None, None),
            ("seconds", "0470123456", "yes", "1767261600", None, None, None),
            ("day", "0470123456", "yes", "2026-01-01", None, None, None),
        ],
    )
    assert store.pull(BRAND).rejected == 0
    found = store.rows("select record_id, occurred_at from optin_staging")
    assert {row["record_id"]: row["occurred_at"].strftime("%m-%dT%H:%M:%S.%f")[:-5] for row in found} == {
        "summer": "07-01T08:00:00.0",
        "winter": "01-01T09:00:00.0",
        "twice, yes": "10-26T00:30:00.0",
        "twice, no": "10-26T01:30:00.0",
        "never": "03-29T01:00:00.0",
        "offset": "01-01T04:30:00.5",
        "seconds": "01-01T10:00:00.0",
        "day": "12-31T23:00:00.0",
    }


def test_a_run_pulled_twice_is_one_run(store: Store) -> None:
    write_csv(
        store.folder / "drop.csv",
        [("1", "0470123456", "yes", AT, None, None, None), ("2", "x", "yes", AT, None, None, None)],
    )
    first, second = store.pull(BRAND, run_key="a"), store.pull(BRAND, run_key="a")
    assert first.run_id == second.run_id
    assert store.value("select count(*) from optin_staging") == 1
    assert store.value("select count(*) from rejected_record") == 1
    assert store.value("select count(*) from sync_run") == 1


def test_the_watermark_counts_once_it_is_applied_and_never_lies_ahead(store: Store) -> None:
    write_csv(
        store.folder / "drop.csv",
        [
            ("1", "0470123456", "yes", AT, None, None, None),
            ("2", "0470123457", "yes", "2026-12-01T00:00:00Z", None, None, None),
        ],
    )
    first = store.pull(BRAND)
    assert first.since is None
    assert first.watermark == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert store.pull(BRAND).since is None
    store.reconcile(BRAND)
    assert store.pull(BRAND).since == first.watermark - timedelta(minutes=60)


def test_a_missing_column_is_named_with_its_file_and_nothing_is_kept(store: Store) -> None:
    write_csv(store.folder / "drop_1.csv", [("1", "0470123456", "yes", AT, None, None, None)])
    write_csv(store.folder / "drop_2.csv", [("2", "0470123457", "yes")], header=("id", "phone", "consent"))
    with pytest.raises(
        SourceShapeChanged, match=r"'drop_2.csv' has no column 'changed', 'language', 'name', 'city'"
    ):
        store.pull(BRAND)
    assert store.value("select count(*) from optin_staging") == 0
    run = store.rows("select * from sync_run")[0]
    assert (run["state"], run["pulled"]) == ("failed", 0)
    assert "drop_2.csv" in run["problem"]


def test_a_folder_that_is_not_there_may_come_later(store: Store) -> None:
    with pytest.raises(SourceUnavailable):
        store.pull(BRAND, access=store.folder / "none")
