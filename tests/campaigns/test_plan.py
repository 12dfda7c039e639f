"""Planning: everybody who matches gets one row, with the reason when it is an exclusion, once per run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from include.campaigns.errors import CampaignNotReady, ParametersChanged, ParametersInvalid, PlanChanged
from include.campaigns.parameters import freeze
from include.campaigns.preview import as_markdown, preview
from include.campaigns.reference import LedgerKey, parse
from include.campaigns.settle import settle
from include.campaigns.states import approve, cancel
from include.database import connect
from tests.support.campaigns import acme, approve_templates, approved, planned, states, subscribe


def test_everybody_matched_has_one_row_and_the_first_reason_that_applies(migrated_database: str) -> None:
    dsn, entity = migrated_database, acme()
    approve_templates(dsn, entity)
    subscribe(dsn, 5)
    subscribe(dsn, 2, first=100, status="unsubscribed")
    subscribe(dsn, 3, first=200, status="pending")
    subscribe(dsn, 1, first=300, reachability="unreachable")
    subscribe(dsn, 1, first=400, attributes='{"first_name": "a\\nb"}')
    subscribe(dsn, 1, first=500, status="erased")
    subscribe(dsn, 1, first=600, attributes="{}")  # the fallback fills in
    subscribe(dsn, 1, first=700, person_hash=b"x")
    with connect(dsn) as conn:
        conn.execute("insert into suppression values ('acme', 'x', 'complaint', 'tests')")
    plan = planned(dsn, entity)
    assert plan.target == 14
    assert plan.planned == 6
    assert plan.excluded == {
        "opted_out": 2,
        "no_consent": 3,
        "undeliverable": 1,
        "missing_variable": 1,
        "suppressed": 1,
    }
    with connect(dsn) as conn:
        row = conn.execute(
            "select * from campaign_message where state = 'planned' order by subscription_id limit 1"
        ).fetchone()
    assert row is not None
    assert row["variables"] == ["Jan", "SPRING26"]
    assert row["language"] == "nl"
    assert row["consent_event_id"] is not None
    assert parse(row["reference"]) == LedgerKey(row["month"], plan.campaign_id, row["subscription_id"], 1)


def test_the_same_run_plans_once_even_twice_at_once(migrated_database: str) -> None:
    dsn, entity = migrated_database, acme()
    approve_templates(dsn, entity)
    subscribe(dsn, 500)
    with ThreadPoolExecutor(4) as pool:
        plans = list(pool.map(lambda _: planned(dsn, entity), range(4)))
    assert len(set(map(str, plans))) == 1
    assert states(dsn, plans[0].campaign_id) == {"planned": 500}
    with pytest.raises(ParametersChanged, match="Start a new run"):
        planned(dsn, entity, segment="vip_benelux")


def test_a_segment_filters_by_country_and_attribute(migrated_database: str) -> None:
    dsn, entity = migrated_database, acme()
    approve_templates(dsn, entity)
    subscribe(dsn, 3, attributes='{"first_name": "A", "vip": true}')
    subscribe(dsn, 2, first=10, attributes='{"first_name": "A", "vip": "true"}', country="NL")
    subscribe(dsn, 4, first=20, attributes='{"first_name": "A", "vip": false}')
    subscribe(dsn, 8, first=30, attributes='{"first_name": "A", "vip": true}', country="FR")
    assert planned(dsn, entity, segment="vip_benelux").target == 5


def test_holdout_is_a_share_and_the_same_each_time(migrated_database: str) -> None:
    dsn, entity = migrated_database, acme()
    approve_templates(dsn, entity)
    subscribe(dsn, 2000)
    plan = planned(dsn, entity, holdout_percent=10)
    assert 140 < plan.excluded["holdout"] < 260
    assert planned(dsn, entity, holdout_percent=10) == plan


def test_the_frequency_cap_counts_what_may_have_left(migrated_database: str) -> None:
    dsn, entity = migrated_database, acme()
    approve_templates(dsn, entity)
    subscribe(dsn, 4)
    first = approved(dsn, entity)
    with connect(dsn) as conn:
        conn.execute(
            "update campaign_message set state = 'uncertain', claimed_at = now() "
            "where subscription_id in (select id from subscription order by id limit 3)"
        )
    second = planned(dsn, entity, run_key="run-2")
    assert second.campaign_id != first.campaign_id
    assert second.excluded == {"frequency_cap": 3}
    third = planned(
        dsn, entity, run_key="run-3", template="order_update"
    )  # utility: no cap, but no order number
    assert third.excluded == {"missing_variable": 4}


def test_a_template_that_is_not_approved_reaches_nobody(migrated_database: str) -> None:
    dsn, entity = migrated_database, acme()
    subscribe(dsn, 3)
    with pytest.raises(ParametersInvalid, match="sync_templates__acme"):
        planned(dsn, entity)
    approve_templates(dsn, entity)
    with connect(dsn) as conn:
        assert conn.execute("select count(*) as n from campaign").fetchone() == {"n": 0}
        conn.execute("update template set status = 'PAUSED' where language = 'nl'")
    assert planned(dsn, entity).excluded == {"template_not_available": 3}


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"name": "", "template": "spring_sale"}, "name"),
        ({"name": "x", "template": "spring_sail"}, "spring_sale"),
        ({"name": "x", "template": "spring_sale", "segment": "nobody"}, "everyone"),
        ({"name": "x", "template": "spring_sale", "holdout_percent": 99}, "holdout_percent"),
        ({"name": "x", "template": "spring_sale", "typo": 1}, "typo"),
    ],
)
def test_wrong_parameters_are_refused_with_the_reason(raw: dict[str, object], told: str) -> None:
    with pytest.raises(ParametersInvalid, match=told):
        freeze(acme(), raw)


def test_approval_is_for_one_plan(migrated_database: str) -> None:
    dsn, entity = migrated_database, acme()
    approve_templates(dsn, entity)
    subscribe(dsn, 2)
    plan = planned(dsn, entity)
    now = datetime.now(UTC)
    with pytest.raises(PlanChanged):
        approve(dsn=dsn, campaign_id=plan.campaign_id, plan_hash="0" * 16, approved_by="x", now=now)
    approve(dsn=dsn, campaign_id=plan.campaign_id, plan_hash=plan.plan_hash, approved_by="x", now=now)
    approve(dsn=dsn, campaign_id=plan.campaign_id, plan_hash=plan.plan_hash, approved_by="y", now=now)
    with connect(dsn) as conn:
        row = conn.execute("select approved_by, state from campaign").fetchone()
    assert row == {"approved_by": "x", "state": "approved"}
    assert cancel(dsn=dsn, campaign_id=plan.campaign_id, reason="tests", now=now)
    with pytest.raises(CampaignNotReady):
        approve(dsn=dsn, campaign_id=plan.campaign_id + 1, plan_hash="x", approved_by="x", now=now)


def test_a_dry_run_and_a_rejection_close_their_rows(migrated_database: str) -> None:
    dsn, entity = migrated_database, acme()
    approve_templates(dsn, entity)
    subscribe(dsn, 3)
    now = datetime.now(UTC)
    dry = settle(planned(dsn, entity).campaign_id, dsn=dsn, now=now, dry_run=True)
    assert (dry.state, dry.reason, dry.open) == ("cancelled", "dry_run", 0)
    refused = settle(planned(dsn, entity, run_key="run-2").campaign_id, dsn=dsn, now=now)
    assert (refused.state, refused.reason) == ("refused", "not_approved")
    assert states(dsn, 1) == states(dsn, 2) == {"expired": 3}


def test_the_preview_has_the_figures_and_no_number(migrated_database: str) -> None:
    dsn, entity = migrated_database, acme()
    approve_templates(dsn, entity)
    subscribe(dsn, 160)
    subscribe(dsn, 1, first=500, status="unsubscribed")
    with connect(dsn) as conn:
        conn.execute("insert into rate values ('2026-01-01', '**', 'marketing', 0.08, 'EUR')")
    plan = planned(dsn, entity)
    now = datetime.now(UTC)
    figures = preview(entity, plan.campaign_id, dsn=dsn, messages_per_second=80, now=now)
    text = as_markdown(figures)
    assert "**160** people" in text
    assert "| not sent: has opted out | 1 |" in text
    assert figures.forecast.ends is not None
    assert 1.9 < (figures.forecast.ends - now).total_seconds() < 2.1
    assert "| BE | 160 | 0.08 EUR | 12.80 EUR |" in text
    assert "between **0.00 EUR** (if none at all are delivered) and **12.80 EUR**" in text
    assert plan.plan_hash in text
    assert "+32" not in text
