"""A day of the ledger against the log: what is missing on either side, and the price."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from include.cli import app
from include.database import connect
from include.message_log import StatusEvent, apply_events, compare_day, compare_due_days, difference_csv
from include.message_log.compare import DayCost, text
from tests.message_log.ledger import SENT, add_campaign, add_messages, add_people


def test_both_sides_of_a_day_and_its_cost(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        campaign = add_campaign(conn)
        people = add_people(conn, 6)
        logged, missing = (refs := add_messages(conn, campaign, people[:5]))[:3], refs[3:]
        add_messages(conn, campaign, people[5:], sent_at=SENT - timedelta(days=1))
        conn.execute(
            "update campaign_message set country = case when subscription_id % 2 = 0 then 'BE' else 'NL' end"
        )
        conn.execute("insert into rate values ('2026-01-01', 'BE', 'marketing', 0.05, 'EUR')")
        conn.execute("insert into rate values ('2026-07-01', 'BE', 'marketing', 0.06, 'EUR')")
        conn.execute("insert into rate values ('2027-01-01', 'BE', 'marketing', 0.09, 'EUR')")

        def event(reference: str, source: str, price: str | None = None) -> StatusEvent:
            return StatusEvent(
                reference=reference,
                status="delivered",
                occurred_at=SENT + timedelta(seconds=5),
                source=source,  # type: ignore[arg-type]  # a literal of the cases below
                price=Decimal(price) if price else None,
                currency="EUR" if price else None,
            )

        apply_events(
            conn, [event(logged[0], "webhook"), event(missing[0], "webhook")], entities=["acme"], now=SENT
        )
        told = [event(each, "log", "0.07") for each in logged] + [event("order 77", "log", "0.07")]
        apply_events(conn, told, entities=["acme"], now=SENT)
        conn.execute("update set_aside set received_at = %s", (SENT,))
        conn.commit()

        found = compare_day(conn, "acme", SENT.date())
        assert (found.accepted, found.logged, found.missing) == (5, 3, 2)
        assert (found.unheard, found.strangers) == (2, 1)
        belgian = sum(person % 2 == 0 for person in people[:3])
        cost = DayCost("EUR", 3, Decimal("0.21"), Decimal("0.06") * belgian, 3 - belgian, belgian)
        assert found.costs == (cost,)
        assert compare_day(conn, "acme", date(2026, 1, 1)).accepted == 0

        listed = list(
            csv.DictReader(io.StringIO(b"".join(difference_csv(conn, "acme", SENT.date())).decode()))
        )
        assert len(listed) == found.differences
        by_kind = {row["difference"]: [] for row in listed}
        for row in listed:
            by_kind[row["difference"]].append(row["reference"])
        assert sorted(by_kind["missing"]) == sorted(missing)
        assert sorted(by_kind["unheard"]) == sorted(logged[1:])
        assert by_kind["stranger"] == ["order 77"]
        assert len(by_kind["price"]) == belgian
        assert {(row["charged"], row["expected"]) for row in listed if row["difference"] == "price"} == {
            ("0.07", "0.06")
        }
        assert "3 accepted" not in text(found)
        assert "missing from the log               2" in text(found)


def test_each_day_is_compared_on_the_four_days_after_it_and_not_all_the_time(migrated_database: str) -> None:
    now = SENT + timedelta(days=1)
    with connect(migrated_database) as conn:
        add_messages(conn, add_campaign(conn), add_people(conn, 4))
        conn.commit()

        def kept() -> dict[date, int]:
            return {row["day"]: row["missing"] for row in conn.execute("select day, missing from log_day")}

        first = compare_due_days("acme", dsn=migrated_database, now=now)
        assert [each.day for each in first] == [SENT.date() - timedelta(days=back) for back in (3, 2, 1, 0)]
        assert kept()[SENT.date()] == 4
        assert compare_due_days("acme", dsn=migrated_database, now=now + timedelta(hours=5)) == []
        conn.execute("update campaign_message set logged_at = now() where subscription_id % 2 = 0")
        conn.commit()
        later = compare_due_days("acme", dsn=migrated_database, now=now + timedelta(hours=7))
        assert len(later) == 4
        assert kept()[SENT.date()] == 2
        assert SENT.date() not in [
            each.day for each in compare_due_days("acme", dsn=migrated_database, now=now + timedelta(days=5))
        ]


def test_the_command_says_it_and_writes_the_file(
    migrated_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WHATSAPP_DB", migrated_database)
    with connect(migrated_database) as conn:
        add_messages(conn, add_campaign(conn), add_people(conn, 2))
    file = tmp_path / "differences.csv"
    said = CliRunner().invoke(app, ["log", "acme", "--day", f"{SENT:%Y-%m-%d}", "--csv", str(file)])
    assert said.exit_code == 0, said.output
    assert "2 accepted, 0 of them in CM.com's log" in said.output
    assert file.read_text().count("missing,") == 2
    wrong = CliRunner().invoke(app, ["log", "acme", "--day", "soon"])
    assert wrong.exit_code == 1
    assert "no day such as" in wrong.output
