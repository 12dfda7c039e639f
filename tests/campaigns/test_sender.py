"""Sending through the real simulator: once, within the rate, and with the truth in the ledger whatever happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cm_com.messenger import CmComMessenger

from include.campaigns.errors import CampaignNotReady, GatewayUnreachable
from include.campaigns.ledger import DailyLimit
from include.campaigns.sender import SendReport, SendSettings, send
from include.campaigns.settle import settle
from include.campaigns.states import pause, release_uncertain, resume
from include.database import connect
from tests.support.campaigns import (
    LINK_KEY,
    acme,
    approved,
    planned,
    register_templates,
    settings,
    states,
    subscribe,
)
from tests.support.simulator import Simulator, running_simulator


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with running_simulator(db=tmp_path / "judge.db", speed=1000) as running:
        register_templates(running, acme())
        yield running


def run(
    dsn: str, campaign_id: int, simulator: Simulator, *, worker: str = "send-0", **options: object
) -> SendReport:
    chosen = SendSettings(worker=worker, messages_per_second=1000, link_key=LINK_KEY, **options)  # type: ignore[arg-type]
    return send(
        acme(),
        campaign_id,
        lambda: CmComMessenger(settings(simulator), read_timeout=3, connect_timeout=1),
        chosen,
        dsn=dsn,
    )


def test_everybody_planned_gets_it_once_and_a_second_run_sends_nothing(
    dsn: str, simulator: Simulator
) -> None:
    subscribe(dsn, 700)
    plan = approved(dsn, acme())
    report = run(dsn, plan.campaign_id, simulator)
    assert (report.ended, report.counts["accepted"]) == ("done", 700)
    run(dsn, plan.campaign_id, simulator)
    stats = simulator.stats()
    assert stats["accepted"] == stats["unique_references"] == 700
    assert stats["duplicate_recipients"] == stats["duplicate_references"] == 0
    assert states(dsn, plan.campaign_id) == {"accepted": 700}
    message = simulator.messages()[0]
    assert "campaign-" in str(message)


def test_two_workers_and_a_zombie_share_the_ledger_and_the_rate(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 1500)
    plan = approved(dsn, acme())
    with ThreadPoolExecutor(3) as pool:
        names = ["send-0", "send-0", "send-1"]
        list(pool.map(lambda name: run(dsn, plan.campaign_id, simulator, worker=name), names))
    stats = simulator.stats()
    assert stats["accepted"] == 1500
    assert stats["duplicate_recipients"] == 0
    assert stats["max_per_second"] <= 1020
    assert states(dsn, plan.campaign_id) == {"accepted": 1500}


def test_who_withdraws_after_the_plan_gets_nothing(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 10)
    plan = approved(dsn, acme())
    with connect(dsn) as conn:
        conn.execute("update subscription set status = 'unsubscribed' where id <= 4")
        conn.execute("update subscription set person_hash = 'h' where id = 5")
        conn.execute("insert into suppression values ('acme', 'h', 'opted_out', 'tests')")
    run(dsn, plan.campaign_id, simulator)
    assert simulator.stats()["accepted"] == 5
    assert states(dsn, plan.campaign_id) == {"accepted": 5, "excluded": 5}


def test_nothing_is_sent_without_approval(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 3)
    plan = planned(dsn, acme())
    with pytest.raises(CampaignNotReady, match="not approved"):
        run(dsn, plan.campaign_id, simulator)
    assert simulator.stats()["messages"] == 0


def test_a_refused_token_pauses_the_campaign_and_loses_nobody(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 50)
    plan = approved(dsn, acme())
    other = settings(simulator)
    object.__setattr__(other, "token", "99999999-9999-9999-9999-999999999999")
    chosen = SendSettings(worker="send-0", messages_per_second=1000, link_key=LINK_KEY)
    report = send(acme(), plan.campaign_id, lambda: CmComMessenger(other), chosen, dsn=dsn)
    assert report.ended == "paused"
    with connect(dsn) as conn:
        row = conn.execute("select state, state_reason from campaign").fetchone()
    assert row is not None
    assert row["state"] == "paused"
    assert "token" in row["state_reason"]
    assert states(dsn, plan.campaign_id) == {"planned": 50}
    assert run(dsn, plan.campaign_id, simulator).ended == "paused"
    assert resume(dsn=dsn, campaign_id=plan.campaign_id, now=datetime.now(UTC))
    assert run(dsn, plan.campaign_id, simulator).ended == "done"
    assert states(dsn, plan.campaign_id) == {"accepted": 50}


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset_after_body", "count": 1},
        {"kind": "answer_lost", "count": 1},
        {"kind": "html", "count": 1},
        {"kind": "malformed_json", "count": 1},
        {"kind": "hang", "seconds": 5, "count": 1},
        {"kind": "wrong_shape", "count": 1},
    ],
    ids=lambda fault: fault["kind"],
)
def test_no_answer_is_uncertain_and_never_sent_again(
    dsn: str, simulator: Simulator, fault: dict[str, object]
) -> None:
    subscribe(dsn, 400)
    plan = approved(dsn, acme())
    simulator.faults({"path": "/v1.0/message", **fault})
    run(dsn, plan.campaign_id, simulator)
    simulator.faults()
    run(dsn, plan.campaign_id, simulator)
    found = states(dsn, plan.campaign_id)
    assert found["uncertain"] == 10  # one request: one percent of a second's messages
    assert found["accepted"] == 390
    assert simulator.stats()["duplicate_recipients"] == 0


def test_being_asked_to_wait_sends_later(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 100)
    plan = approved(dsn, acme())
    simulator.faults({"kind": "unavailable", "status": 429, "count": 3, "retry_after": 1})
    assert run(dsn, plan.campaign_id, simulator).ended == "done"
    assert states(dsn, plan.campaign_id) == {"accepted": 100}
    assert simulator.stats()["duplicate_recipients"] == 0


def test_a_gateway_that_is_away_leaves_everything_planned(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 100)
    plan = approved(dsn, acme())
    simulator.stop()
    with pytest.raises(GatewayUnreachable, match="Nothing is in doubt"):
        run(dsn, plan.campaign_id, simulator, patience=3)
    assert states(dsn, plan.campaign_id) == {"planned": 100}
    simulator.start()
    register_templates(simulator, acme())
    run(dsn, plan.campaign_id, simulator)
    assert simulator.stats()["accepted"] == 100


def test_a_pause_stops_within_a_second_and_a_resume_goes_on(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 3000)
    plan = approved(dsn, acme())
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(run, dsn, plan.campaign_id, simulator)
        time.sleep(1)
        assert pause(dsn=dsn, campaign_id=plan.campaign_id, reason="tests", now=datetime.now(UTC))
        paused = time.monotonic()
        assert sending.result(timeout=10).ended == "paused"
        assert time.monotonic() - paused < 1
    assert 0 < simulator.stats()["accepted"] < 3000
    resume(dsn=dsn, campaign_id=plan.campaign_id, now=datetime.now(UTC))
    run(dsn, plan.campaign_id, simulator)
    assert simulator.stats()["accepted"] == 3000
    assert simulator.stats()["duplicate_recipients"] == 0


def test_what_has_not_left_when_the_campaign_expires_is_not_sent(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 900)
    plan = approved(dsn, acme())
    with connect(dsn) as conn:
        conn.execute("update campaign set expires_at = now() + interval '2 seconds'")
    assert run(dsn, plan.campaign_id, simulator, own_rate=100).ended == "done"
    found = states(dsn, plan.campaign_id)
    assert found["accepted"] == simulator.stats()["accepted"] <= 400
    assert found["accepted"] + found["expired"] == 900


def test_a_campaign_keeps_to_its_own_rate(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 300)
    plan = approved(dsn, acme())
    with ThreadPoolExecutor(2) as pool:
        list(
            pool.map(
                lambda name: run(dsn, plan.campaign_id, simulator, worker=name, own_rate=100), ["a", "b"]
            )
        )
    stats = simulator.stats()
    assert (stats["accepted"], stats["duplicate_recipients"]) == (300, 0)
    assert stats["max_per_second"] <= 150  # the integration's rate is 1,000; arrivals bunch on a busy machine


def test_a_portfolios_limit_holds_over_campaigns_and_tells_when_there_is_more(
    dsn: str, simulator: Simulator
) -> None:
    subscribe(dsn, 60)
    first = approved(dsn, acme())
    with connect(dsn) as conn:
        conn.execute(
            "insert into daily_use values ('meta', date_trunc('hour', now()) - interval '20 hours', 10)"
        )
    daily = DailyLimit(50, "meta")
    report = run(dsn, first.campaign_id, simulator, daily=daily)
    assert report.ended == "waiting"
    assert report.next_due is not None
    assert timedelta(hours=4) <= report.next_due - datetime.now(UTC) <= timedelta(hours=5)
    assert states(dsn, first.campaign_id) == {"accepted": 40, "planned": 20}
    second = approved(dsn, acme(), run_key="run-2", max_messages_per_week=5)
    run(dsn, second.campaign_id, simulator, daily=daily)
    assert simulator.stats()["accepted"] == 40
    with connect(dsn) as conn:
        conn.execute("delete from daily_use")
    assert run(dsn, first.campaign_id, simulator, daily=daily).ended == "done"
    assert simulator.stats()["duplicate_recipients"] == 0


def test_a_person_may_release_what_is_uncertain_and_it_gets_a_new_reference(
    dsn: str, simulator: Simulator
) -> None:
    subscribe(dsn, 100)
    plan = approved(dsn, acme())
    simulator.faults({"kind": "reset_after_body", "count": 1})
    run(dsn, plan.campaign_id, simulator)
    settle(plan.campaign_id, dsn=dsn, now=datetime.now(UTC))
    assert states(dsn, plan.campaign_id) == {"accepted": 90, "uncertain": 10}
    now = datetime.now(UTC)
    assert (
        release_uncertain(dsn=dsn, campaign_id=plan.campaign_id, older_than=timedelta(hours=1), now=now) == 0
    )
    assert release_uncertain(dsn=dsn, campaign_id=plan.campaign_id, older_than=timedelta(0), now=now) == 10
    run(dsn, plan.campaign_id, simulator)
    assert states(dsn, plan.campaign_id) == {"accepted": 100}
    assert simulator.stats()["duplicate_references"] == 0
