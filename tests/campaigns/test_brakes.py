"""What comes back brakes a campaign; what failed for a passing reason is tried again; a probe is judged."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cm_com.messenger import CmComMessenger

from include.campaigns.failures import ACTIONS, FORGIVEN, STOPPING, codes
from include.campaigns.sender import SendReport, SendSettings, send
from include.campaigns.states import resume
from include.database import connect
from include.message_log import StatusEvent, apply_events
from include.message_log.codes import META
from tests.support.campaigns import (
    acme,
    approve_templates,
    approved,
    register_templates,
    settings,
    states,
    subscribe,
)
from tests.support.simulator import Simulator, running_simulator


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with running_simulator(speed=1) as running:
        register_templates(running, acme())
        yield running


@pytest.fixture
def dsn(migrated_database: str) -> str:
    approve_templates(migrated_database, acme())
    return migrated_database


def run(dsn: str, campaign_id: int, simulator: Simulator, rate: int = 1000) -> SendReport:
    chosen = SendSettings(worker="send-0", messages_per_second=rate)
    return send(acme(), campaign_id, lambda: CmComMessenger(settings(simulator)), chosen, dsn=dsn)


def tell(dsn: str, status: Any, code: int | None = None, *, share: int = 1, only: str = "accepted") -> int:
    """A status report for every `share`-th message in state `only`."""
    now = datetime.now(UTC)
    with connect(dsn) as conn:
        rows = conn.execute(
            "select reference from campaign_message where state = %s order by 1", (only,)
        ).fetchall()
        events = [
            StatusEvent(
                reference=row["reference"], status=status, error_code=code, occurred_at=now, source="webhook"
            )
            for row in rows[::share]
        ]
        apply_events(conn, events, entities=["acme"], now=now)
    return len(events)


def paused_because(dsn: str) -> str:
    with connect(dsn) as conn:
        row = conn.execute("select state, state_reason from campaign").fetchone()
    assert row is not None
    assert row["state"] == "paused", row
    return str(row["state_reason"])


def test_the_table_of_failures_names_known_codes_and_both_numberings() -> None:
    assert set(ACTIONS) <= set(META)
    assert {59, 131026, 131049} <= set(FORGIVEN)
    assert {63, 131048, 132015} <= set(STOPPING)
    assert set(codes("retry")).isdisjoint(STOPPING)


@pytest.mark.parametrize(
    ("code", "told"),
    [(131048, "sender limited for spam"), (132015, "template paused"), (61, "payment problem")],
)
def test_one_failure_that_concerns_everybody_pauses_at_once(
    dsn: str, simulator: Simulator, code: int, told: str
) -> None:
    subscribe(dsn, 600)
    plan = approved(dsn, acme())
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(run, dsn, plan.campaign_id, simulator, 100)
        while not states(dsn, plan.campaign_id).get("accepted"):
            pass
        tell(dsn, "failed", code, share=1000)
        assert sending.result(timeout=20).ended == "paused"
    assert told in paused_because(dsn)
    assert states(dsn, plan.campaign_id)["planned"] > 100


def test_many_failures_pause_but_people_who_cannot_be_reached_do_not(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 400)
    plan = approved(dsn, acme())
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(run, dsn, plan.campaign_id, simulator, 60)
        while states(dsn, plan.campaign_id).get("accepted", 0) < 60:
            pass
        tell(dsn, "failed", 131026)
        while states(dsn, plan.campaign_id).get("accepted", 0) < 80:
            pass
        with connect(dsn) as conn:
            assert conn.execute("select state from campaign").fetchone() == {"state": "sending"}
        tell(dsn, "failed", 131009)
        assert sending.result(timeout=20).ended == "paused"
    assert "messages failed" in paused_because(dsn)


def test_a_template_that_meta_pauses_pauses_the_campaign(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 300)
    plan = approved(dsn, acme())
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(run, dsn, plan.campaign_id, simulator, 60)
        with connect(dsn) as conn:
            conn.execute("update template set status = 'PAUSED' where language = 'nl'")
        assert sending.result(timeout=20).ended == "paused"
    assert paused_because(dsn).startswith("Template spring_sale (nl) is PAUSED")


def test_a_good_probe_lets_the_rest_go_and_a_bad_one_waits_for_a_person(
    dsn: str, simulator: Simulator
) -> None:
    subscribe(dsn, 300)
    plan = approved(dsn, acme(), probe_percent=10)
    report = run(dsn, plan.campaign_id, simulator)
    assert report.ended == "waiting"
    assert report.next_due is not None
    probe = simulator.stats()["accepted"]
    assert 10 < probe < 60
    tell(dsn, "failed", 131009, share=4)
    tell(dsn, "delivered")
    assert run(dsn, plan.campaign_id, simulator).ended == "paused"
    assert paused_because(dsn).startswith("The probe failed")
    assert simulator.stats()["accepted"] == probe
    resume(dsn=dsn, campaign_id=plan.campaign_id, now=datetime.now(UTC))
    assert run(dsn, plan.campaign_id, simulator).ended == "done"
    assert simulator.stats()["accepted"] == 300

    subscribe(dsn, 200, first=1000)
    second = approved(dsn, acme(), run_key="run-2", probe_percent=10)
    run(dsn, second.campaign_id, simulator)
    tell(dsn, "delivered")
    assert run(dsn, second.campaign_id, simulator).ended == "done"
    assert simulator.stats()["duplicate_recipients"] == 0


def test_what_failed_for_a_passing_reason_is_tried_again_later_under_a_new_reference(
    dsn: str, simulator: Simulator
) -> None:
    subscribe(dsn, 20)
    plan = approved(dsn, acme(), attempts=2, expires_hours=48)
    assert run(dsn, plan.campaign_id, simulator).ended == "waiting"
    tell(dsn, "failed", 131049, share=2)
    tell(dsn, "delivered")
    report = run(dsn, plan.campaign_id, simulator)
    assert report.ended == "waiting"
    assert report.next_due is not None
    hours = (report.next_due - datetime.now(UTC)).total_seconds() / 3600
    assert 24 < hours < 25
    assert states(dsn, plan.campaign_id) == {"planned": 10, "delivered": 10}
    with connect(dsn) as conn:
        conn.execute("update campaign_message set not_before = now() where state = 'planned'")
    run(dsn, plan.campaign_id, simulator)
    assert states(dsn, plan.campaign_id) == {"accepted": 10, "delivered": 10}
    tell(dsn, "failed", 131049)
    assert run(dsn, plan.campaign_id, simulator).ended == "done"
    assert states(dsn, plan.campaign_id) == {"failed": 10, "delivered": 10}
    assert simulator.stats()["duplicate_references"] == 0
