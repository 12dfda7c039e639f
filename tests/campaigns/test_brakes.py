"""What comes back brakes a campaign; what failed for a passing reason is tried again; a probe is judged."""

from __future__ import annotations

import itertools
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from include.campaigns.brakes import Limits, is_clearly_more
from include.campaigns.failures import FORGIVEN, KNOWN, RULES, STOPPING, codes, rule
from include.campaigns.states import resume, set_number_quality
from include.database import connect
from include.message_log import StatusEvent, apply_events
from include.message_log.codes import META
from tests.support.campaigns import (
    acme,
    approved,
    run,
    states,
    subscribe,
)
from tests.support.simulator import Simulator


def tell(
    dsn: str,
    status: Any,
    code: int | None = None,
    *,
    share: int = 1,
    only: str = "accepted",
    country: str | None = None,
) -> int:
    """A status report for every `share`-th message in state `only`."""
    now = datetime.now(UTC)
    with connect(dsn) as conn:
        rows = conn.execute(
            "select reference from campaign_message where state = %s and country = coalesce(%s, country) order by 1",
            (only, country),
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


# Meta's "Error codes" as of 2026-09-11 with what a careful sender does, as classes: R retry, R24 after a day,
# P permanent, S suppress, CC close the country, STOP the sender, TPL stop the template, CFG configuration.
TABLE = """
R 1 2 4 80007 130429 131000 131016 131056 131057 133004 133015 133016 134101
R24 131049
P 130403 130472 131021 131026 131047 131052
S 131050
CC 130497
STOP 0 3 10 33 190 200 201 299 368 131005 131031 131037 131042 131045 131048 131063 131064 133000 133005 133010 135000
TPL 132000 132001 132007 132015 132016 132018 132068 132069
CFG 100 131008 131009 131051 131053 131055 132005 132012 134100 134102
"""
NAMES = {
    "R": "retry",
    "R24": "retry_24h",
    "P": "permanent",
    "S": "suppress",
    "CC": "close_country",
    "STOP": "stop_sender",
    "TPL": "stop_template",
    "CFG": "configuration",
}


def test_the_table_of_failures_is_complete_and_names_both_numberings() -> None:
    told = {
        int(code): NAMES[line.split()[0]] for line in TABLE.strip().splitlines() for code in line.split()[1:]
    }
    assert {code: rule(code).action for code in told} == told
    assert set(META) <= set(KNOWN), "every code that reports can explain has a rule"
    of_cm = {51: 1, 52: 10, 53: 100, 54: 130472, 55: 131000, 56: 131008, 57: 131009, 58: 131021, 59: 131026}
    of_cm |= {60: 131031, 61: 131042, 62: 131047, 63: 131048, 64: 131053, 65: 131056}
    assert all(rule(ours) is RULES[metas] for ours, metas in of_cm.items())
    assert (rule(999_999).action, rule(999_999).retries) == ("unknown", 1)
    assert {59, 131026, 131049} <= set(FORGIVEN)
    assert {63, 131048, 132015} <= set(STOPPING)
    assert set(codes("retry")).isdisjoint(STOPPING)


def test_an_unknown_code_is_sent_once_more_and_told(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 4)
    plan = approved(dsn, acme(), attempts=3)
    for attempt in (1, 2):
        run(dsn, plan.campaign_id, simulator)
        assert attempts(dsn) == {attempt: 4}
        tell(dsn, "failed", 131999)
        run(dsn, plan.campaign_id, simulator)
        with connect(dsn) as conn:
            conn.execute("update campaign_message set not_before = now() where state = 'planned'")
    assert attempts(dsn) == {2: 4}, "once, whatever the form allows"
    assert states(dsn, plan.campaign_id) == {"failed": 4}
    with connect(dsn) as conn:
        noted = conn.execute("select reason from campaign_history where reason like 'Code %%'", ()).fetchall()
    assert noted == [{"reason": "Code 131999 is not in our tables: ask CM.com what it means"}]


def test_a_country_that_is_refused_is_left_out_and_the_others_are_sent(
    dsn: str, simulator: Simulator
) -> None:
    subscribe(dsn, 600)
    subscribe(dsn, 300, first=1000, country="MA")
    plan = approved(dsn, acme(), probe_percent=10, probe_max_failed_percent=1)
    assert run(dsn, plan.campaign_id, simulator).ended == "waiting"
    belgians, moroccans = sent_to(dsn, "BE"), sent_to(dsn, "MA")
    assert belgians
    assert moroccans
    tell(dsn, "delivered", country="BE")
    tell(dsn, "failed", 130497, country="MA")
    assert run(dsn, plan.campaign_id, simulator).ended == "done", "no brake: the others are not concerned"
    assert sent_to(dsn, "BE") == 600
    assert sent_to(dsn, "MA") == moroccans, "nobody more after the probe"
    with connect(dsn) as conn:
        rows = conn.execute(
            "select reason, country, count(*) as n from campaign_message where state = 'excluded' group by 1, 2"
        )
        assert rows.fetchall() == [{"reason": "country_closed", "country": "MA", "n": 300 - moroccans}]
        history = conn.execute("select reason from campaign_history where reason like 'This account%%'", ())
        assert [row["reason"].split(":")[0] for row in history] == ["This account may not write to MA"]


def sent_to(dsn: str, country: str) -> int:
    with connect(dsn) as conn:
        row = conn.execute(
            "select count(*) as n from campaign_message where country = %s and claimed_at is not null",
            (country,),
        ).fetchone()
    assert row is not None
    return int(row["n"])


def attempts(dsn: str) -> dict[int, int]:
    with connect(dsn) as conn:
        rows = conn.execute("select attempt, count(*) as n from campaign_message group by 1").fetchall()
    return {row["attempt"]: row["n"] for row in rows}


@pytest.mark.parametrize(
    ("code", "paused"),
    [(131048, {"same sender", "same template"}), (132015, {"same template"})],
)
def test_what_stops_the_sender_or_the_template_stops_the_other_campaigns_of_it(
    dsn: str, simulator: Simulator, code: int, paused: set[str]
) -> None:
    subscribe(dsn, 300)
    mine = approved(dsn, acme(), name="mine")
    approved(dsn, acme(), run_key="run-2", name="same template", language="nl", max_messages_per_week=9)
    approved(dsn, acme(), run_key="run-3", name="same sender", template="order_update")
    approved(dsn, acme(), run_key="run-4", name="elsewhere", segment="vip_benelux", max_messages_per_week=9)
    with connect(dsn) as conn:
        conn.execute("update campaign set connection_id = 'another' where name = 'elsewhere'")
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(run, dsn, mine.campaign_id, simulator, rate=100)
        while not states(dsn, mine.campaign_id).get("accepted"):
            pass
        tell(dsn, "failed", code, share=1000)
        assert sending.result(timeout=20).ended == "paused"
    with connect(dsn) as conn:
        rows = conn.execute("select name, state_reason from campaign where state = 'paused'").fetchall()
    assert {row["name"] for row in rows} == {"mine", *paused}
    for row in rows:
        if row["name"] != "mine":
            assert row["state_reason"].startswith(f"As campaign {mine.campaign_id}: ")


def test_a_red_number_sends_no_marketing_and_a_yellow_one_half_as_fast(
    dsn: str, simulator: Simulator
) -> None:
    subscribe(dsn, 200)
    plan = approved(dsn, acme())
    say = {"dsn": dsn, "connection_id": "cm_com_acme", "by": "ann"}
    set_number_quality(**say, quality="RED")
    assert run(dsn, plan.campaign_id, simulator).ended == "paused"
    assert paused_because(dsn) == (
        "The number's quality is RED, says ann: send no marketing until it is better, then resume"
    )
    assert simulator.stats()["messages"] == 0
    set_number_quality(**say, quality="YELLOW")
    resume(dsn=dsn, campaign_id=plan.campaign_id, now=datetime.now(UTC))
    began = time.monotonic()
    assert run(dsn, plan.campaign_id, simulator, rate=100).ended == "done"
    assert time.monotonic() - began > 2.5, "200 messages at 50 a second"
    assert simulator.stats()["max_per_second"] <= 52


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
        sending = pool.submit(run, dsn, plan.campaign_id, simulator, rate=100)
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
        sending = pool.submit(run, dsn, plan.campaign_id, simulator, rate=60)
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
        sending = pool.submit(run, dsn, plan.campaign_id, simulator, rate=60)
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


def first_pause(chance: random.Random, true_share: float, people: int = 5_000) -> int | None:
    """After how many results a campaign pauses that makes `true_share` of its people say stop."""
    limits = Limits()
    said = [0, *itertools.accumulate(chance.random() < true_share for _ in range(people))]
    for seen in range(limits.least, people + 1, 20):
        last = min(seen, limits.last)
        if is_clearly_more(said[seen] - said[seen - last], last, limits.max_stopped):
            return seen
    return None


def test_chance_stops_no_healthy_campaign_and_saves_no_bad_one() -> None:
    chance = random.Random(9)
    healthy = [first_pause(chance, 0.022) for _ in range(400)]
    assert sum(pause is not None for pause in healthy) <= 0.02 * len(healthy)
    for bad, by in ((0.08, 2_500), (0.15, 400)):
        pauses = [first_pause(chance, bad) for _ in range(200)]
        assert max(pause or 10**6 for pause in pauses) <= by
    assert first_pause(chance, 1.0) == Limits().least


@pytest.mark.parametrize("share", [0.05, 0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("of", [10, 50, 200])
def test_whatever_the_limit_a_campaign_in_which_everything_goes_wrong_pauses(share: float, of: int) -> None:
    assert is_clearly_more(of, of, share)
    assert not is_clearly_more(int(share * of), of, share)
    assert not is_clearly_more(of, of, 1.0), "a limit of 1 switches the brake off"
