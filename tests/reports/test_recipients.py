"""The rows behind a figure, and the CSV: exact, safe in a spreadsheet, flat in memory."""

from __future__ import annotations

import csv
import io
import tracemalloc

import pytest

from include.database import connect
from include.reports import CampaignUnknown, failures, funnel, recipients, write_csv
from include.reports.figures import FIGURES
from include.reports.recipients import Filters, recipient
from tests.support.ledger import START, add_campaign, many, small_campaign


def test_every_figure_opens_exactly_its_rows(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=small_campaign())
        figures = funnel(conn, campaign_id)
        for name in FIGURES:
            rows, more = recipients(conn, campaign_id, Filters(figure=name))
            assert (len(rows), more) == (getattr(figures, name), None), name


def test_pages_follow_each_other_without_gap_or_repeat(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=small_campaign())
        seen: list[int] = []
        after: int | None = 0
        while after is not None:
            rows, after = recipients(conn, campaign_id, Filters(), after=after, limit=10)
            seen += [row["subscription_id"] for row in rows]
    assert len(seen) == len(set(seen)) == 25


def test_filters_narrow_a_figure(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=small_campaign())
        for filters, expected in (
            (Filters(figure="excluded", reason="opted_out"), 3),
            (Filters(figure="failed", error_source="status", error_code=59), 2),
            (Filters(figure="rejected", error_source="gateway", error_code=303), 1),
            (Filters(country="BE"), 7),
            (Filters(variant=""), 25),
            (Filters(reason="x' or true --"), 0),
        ):
            assert len(recipients(conn, campaign_id, filters)[0]) == expected, filters
        with pytest.raises(KeyError):
            recipients(conn, campaign_id, Filters(figure="nonsense"))
        with pytest.raises(CampaignUnknown):
            recipients(conn, 999, Filters())


def test_failures_name_cause_owner_and_next_action(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        found = failures(conn, add_campaign(conn, outcomes=small_campaign()))
    assert [(f.bucket, f.code, f.meta_code, f.cause, f.messages) for f in found] == [
        ("failed", 59, 131026, "undeliverable", 2),
        ("failed", 131049, 131049, "limited", 1),
        ("rejected", 303, None, "content", 1),
    ]
    assert all(f.owner and f.action and f.meaning and f.label for f in found)


def test_one_person_leads_to_their_consent(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=many(1, state="read", accepted=0, delivered=1, read=2))
        (row,), _ = recipients(conn, campaign_id, Filters())
        found = recipient(conn, campaign_id, row["subscription_id"])
        assert recipient(conn, campaign_id, 10**9) is None
    assert found is not None
    assert found["row"]["state"] == "read"
    assert (found["consent"]["source"], found["consent"]["wording_id"]) == ("webshop", "signup-2026-01")


def test_the_csv_has_a_row_and_a_reason_for_each_person(migrated_database: str) -> None:
    file = io.BytesIO()
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=small_campaign())
        assert write_csv(conn, campaign_id, file) == len(file.getvalue())
    rows = list(csv.DictReader(io.StringIO(file.getvalue().decode())))
    assert len(rows) == 25
    assert {row["phone"] for row in rows} == {""}
    assert sum(row["reason"] == "opted_out" for row in rows) == 3
    assert {row["cause"] for row in rows if row["state"] == "failed"} == {"Undeliverable", "Limited by Meta"}
    read = next(row for row in rows if row["state"] == "read")
    assert read["accepted_at"] == START.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert all(row["consent_event_id"] and row["consent_source"] == "webshop" for row in rows)


def test_the_csv_runs_no_formula(migrated_database: str) -> None:
    file = io.BytesIO()
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=many(1, state="excluded", reason="=1+1", variant="@x"))
        conn.execute("update campaign_message set language = E'\\tnl'")
        conn.execute("alter table consent_event disable trigger user")
        conn.execute("update consent_event set source_record_id = '-2+3', source = '+cmd'")
        write_csv(conn, campaign_id, file, phones=True)
    (row,) = csv.DictReader(io.StringIO(file.getvalue().decode()))
    assert (row["reason"], row["variant"], row["language"]) == ("'=1+1", "'@x", "'\tnl")
    assert (row["consent_record"], row["consent_source"]) == ("'-2+3", "'+cmd")
    assert row["phone"].startswith("'+32470")
    assert not any(value[:1] in tuple("=+-@\t\r") for value in row.values() if value)


def test_the_csv_of_many_people_stays_flat_in_memory(migrated_database: str) -> None:
    class Counter:
        lines = 0

        def write(self, data: bytes) -> None:
            self.lines += data.count(b"\n")

    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=many(1, state="planned"))
        conn.execute(
            """insert into subscription (entity, phone, match_key)
               select 'acme', '+3247' || n, '3247' || n from generate_series(1000000, 1199999) n"""
        )
        conn.execute(
            """insert into campaign_message (month, campaign_id, subscription_id, state, reason)
               select 202610, %s, id, 'excluded', 'no_consent' from subscription
               where phone ~ '^.32471[01]'""",
            [campaign_id],
        )
        file = Counter()
        tracemalloc.start()
        write_csv(conn, campaign_id, file, phones=True)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert file.lines > 150_000
    assert peak < 2_000_000
