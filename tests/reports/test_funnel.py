"""The figures of a campaign against counts worked out by hand, before and after a refresh."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from include.database import connect
from include.reports import CampaignUnknown, campaigns, funnel, refresh, report_text
from include.reports.funnel import LIFETIME
from tests.support.ledger import MONTH, START, add_campaign, many, small_campaign

NOW = START + timedelta(days=5)
EXPECTED = {
    "target": 25,
    "excluded": 5,
    "planned": 20,
    "waiting": 0,
    "sending": 0,
    "uncertain": 1,
    "expired": 1,
    "rejected": 1,
    "accepted": 17,
    "awaiting": 2,
    "failed": 3,
    "delivered": 12,
    "read": 8,
    "clicked": 0,
    "replied": 2,  # the third reply came after four days
    "opted_out": 1,
    "balance": 0,
}


def test_every_figure_live_and_refreshed(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=small_campaign())
        live = funnel(conn, campaign_id)
        counts = refresh("acme", dsn=migrated_database, now=NOW)
        stored = funnel(conn, campaign_id)
    assert {name: getattr(live, name) for name in EXPECTED} == EXPECTED
    assert {name: getattr(stored, name) for name in EXPECTED} == EXPECTED
    assert (counts["campaigns"], counts["people"]) == (1, 25)
    assert stored.refreshed_at == NOW
    for part in ("reasons", "countries", "hours", "variants", "times"):
        assert getattr(stored, part) == getattr(live, part), part
    assert stored.excluded_by_reason() == [("opted_out", 3), ("no_consent", 2)]
    assert stored.delivery_rate == 12 / 17
    assert stored.read_rate == 8 / 12
    assert sum(row["target"] for row in stored.countries) == 25
    assert sum(row["read"] for row in stored.hours) == 8
    deliver = next(row for row in stored.times if row["measure"] == "deliver")
    assert (deliver["messages"], deliver["p50"], deliver["within_5s"], deliver["within_60s"]) == (
        12,
        60,
        0,
        12,
    )


def test_a_second_refresh_does_nothing_and_a_change_is_seen(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=small_campaign())
        other = add_campaign(conn, name="Other", outcomes=many(2, state="planned"))
        assert refresh("acme", dsn=migrated_database, now=NOW)["campaigns"] == 2
        assert refresh("acme", dsn=migrated_database, now=NOW)["campaigns"] == 0
        conn.execute(
            "update campaign_message set state = 'delivered', delivered_at = accepted_at"
            " where campaign_id = %s and state = 'accepted'",
            [campaign_id],
        )
        conn.commit()
        assert funnel(conn, campaign_id).is_behind
        assert not funnel(conn, other).is_behind
        assert refresh("acme", dsn=migrated_database, now=NOW + timedelta(minutes=5))["campaigns"] == 1
        after = funnel(conn, campaign_id)
    assert (after.awaiting, after.delivered, after.balance, after.is_behind) == (0, 14, 0, False)
    with connect(migrated_database) as conn:
        assert refresh("acme", dsn=migrated_database, now=NOW, everything=True)["campaigns"] == 2
        assert funnel(conn, campaign_id).delivered == 14


def test_a_change_that_commits_while_a_refresh_runs_is_not_lost(migrated_database: str) -> None:
    """The writer holds its change open while the refresh counts; the next refresh must see it."""
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=many(5, state="accepted", accepted=0))
        refresh("acme", dsn=migrated_database, now=NOW)
        with connect(migrated_database) as writer:
            writer.execute(
                "update campaign_message set state = 'read', read_at = now(), delivered_at = now()"
            )
            refresh("acme", dsn=migrated_database, now=NOW)
            assert funnel(conn, campaign_id).read == 0
            writer.commit()
        assert refresh("acme", dsn=migrated_database, now=NOW)["campaigns"] == 1
        assert funnel(conn, campaign_id).read == 5


def test_refreshes_at_once_and_writers_beside_them_end_exact(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=many(200, state="planned"), state="sending")
    problems: list[Exception] = []

    def guarded(work: Any) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - handed to the test's own thread
            problems.append(error)

    def send() -> None:
        with connect(migrated_database) as writer:
            for _ in range(20):
                writer.execute(
                    """update campaign_message m set state = 'accepted', accepted_at = now()
                       from (select subscription_id from campaign_message
                             where state = 'planned' and campaign_id = %s limit 5 for update skip locked) due
                       where m.subscription_id = due.subscription_id and m.campaign_id = %s""",
                    [campaign_id, campaign_id],
                )
                writer.commit()

    def count() -> None:
        for _ in range(10):
            refresh("acme", dsn=migrated_database, now=NOW)

    threads = [threading.Thread(target=guarded, args=[work]) for work in (send, send, count, count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    refresh("acme", dsn=migrated_database, now=NOW)
    with connect(migrated_database) as conn:
        done = funnel(conn, campaign_id)
    assert problems == []
    assert (done.accepted, done.waiting, done.balance) == (200, 0, 0)


def test_the_balance_shows_a_lost_person(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=small_campaign(), target=26)
        found = funnel(conn, campaign_id)
    assert found.balance == 1
    assert "THE BOOKS DO NOT BALANCE" in report_text(found)


def test_cost_takes_the_logs_price_and_else_the_rate_of_the_day_and_country(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        conn.execute(
            """insert into rate (effective_from, country, category, price, currency) values
               ('2026-01-01', '**', 'marketing', 0.10, 'EUR'), ('2026-10-01', '**', 'marketing', 0.20, 'EUR'),
               ('2026-11-01', '**', 'marketing', 0.90, 'EUR'), ('2026-01-01', 'NL', 'marketing', 0.50, 'EUR'),
               ('2026-01-01', 'BE', 'utility', 9, 'EUR')"""
        )
        outcomes = [
            *many(2, state="delivered", accepted=0, delivered=1, country="BE"),
            *many(1, state="read", accepted=0, delivered=1, read=2, country="NL"),
            *many(
                1,
                state="delivered",
                accepted=0,
                delivered=1,
                country="NL",
                price=Decimal("0.07"),
                currency="EUR",
            ),
            *many(1, state="failed", accepted=0, failed=1, country="NL"),
        ]
        found = funnel(conn, add_campaign(conn, outcomes=outcomes))
        assert (found.cost, found.cost_currency, found.cost_estimated) == (Decimal("0.97"), "EUR", True)
        conn.execute("update campaign_message set price = 0.1, currency = 'EUR' where price is null")
        billed = funnel(conn, found.campaign_id, live=True)
        assert (billed.cost, billed.cost_estimated) == (Decimal("0.47"), False)
        conn.execute("update campaign_message set currency = 'USD' where country = 'NL'")
        mixed = funnel(conn, found.campaign_id, live=True)
        assert (mixed.cost, mixed.cost_currency) == (None, "mixed")


def test_no_rate_and_no_price_is_said(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        found = funnel(conn, add_campaign(conn, outcomes=small_campaign()))
    assert (found.cost, found.cost_unpriced, found.cost_estimated) == (None, 12, False)
    assert "no price known yet" in report_text(found)


def test_partial_until_the_messages_lifetime_has_passed(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        found = funnel(conn, add_campaign(conn, outcomes=small_campaign()))
    assert found.is_partial(START + timedelta(hours=1))
    assert not found.is_partial(START + LIFETIME)


def test_an_unplanned_an_empty_and_an_unknown_campaign(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        planning = add_campaign(conn, outcomes=[], state="planning")
        conn.execute("update campaign set target = null")
        found = funnel(conn, planning)
        assert (found.target, found.balance, found.delivery_rate) == (0, 0, None)
        assert "Target" in report_text(found)
        with pytest.raises(CampaignUnknown, match="There is no campaign 999"):
            funnel(conn, 999)


def test_the_list_shows_only_the_entities_asked_for(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        first = add_campaign(conn, outcomes=small_campaign())
        second = add_campaign(conn, entity="other", outcomes=many(1, state="planned"))
        refresh("acme", dsn=migrated_database, now=NOW)
        assert [row["id"] for row in campaigns(conn, "acme")] == [first]
        both = campaigns(conn, ["acme", "other"])
    assert [(row["id"], row["delivered"]) for row in both] == [(second, None), (first, 12)]


def test_the_views_hold_the_same_figures(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=small_campaign())
        refresh("acme", dsn=migrated_database, now=NOW)
        row = conn.execute("select * from v_campaign_funnel").fetchone()
        messages = conn.execute("select * from v_message where month = %s", [MONTH]).fetchall()
        conn.execute("select * from v_message_status, v_sync_run")
    assert row is not None
    assert (row["campaign_id"], row["delivered"], row["balance"]) == (campaign_id, 12, 0)
    assert len(messages) == 25
    assert not {"phone", "variables"} & set(messages[0])


def test_the_console_report_reads_as_a_funnel(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        text = report_text(funnel(conn, add_campaign(conn, outcomes=small_campaign())), now=START)
    lines = text.splitlines()
    assert "figures still partial" in lines[0]
    for start in (
        "Target                           25",
        "Excluded                          5",
        "  opted out                       3",
    ):
        assert any(line.startswith(start) for line in lines), f"{start!r} not in\n{text}"
    assert any("131026" in line for line in lines)
    assert lines[-1].split() == ["Balance", "0", "every", "person", "accounted", "for"]
    assert max(map(len, lines)) <= 110
