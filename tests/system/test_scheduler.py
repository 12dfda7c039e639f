"""The demo under a real scheduler: its books, a sending task killed with SIGKILL, a finished run cleared and rerun."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import pytest

from include.campaigns.sender import SendSettings
from include.database import connect
from include.local.drive import READING_TIME
from include.local.http import request_json
from include.reports import Funnel, funnel
from include.simulator.sample import build_sample
from tests.support.demo import RunningDemo
from tests.system.leaks import database_text, forms, log_texts, numbers_in

pytestmark = [pytest.mark.airflow, pytest.mark.demo, pytest.mark.timeout(1500)]
SEND = "send_campaign__acme"
PATIENCE = 300.0  # seconds for whatever the scheduler has to do
SLOWLY = 80  # messages per second: the campaign lasts twenty seconds
IN_DOUBT = 3  # requests that CM.com took and never answered when the kill came
CAMPAIGN = {
    "name": "A week later",
    "template": "spring_sale",
    "segment": "everyone",
    "dry_run": False,
    "workers": 1,
    "messages_per_second": SLOWLY,
}


@dataclass
class Killed:
    """A campaign whose sending task was killed in the middle: the run, and the simulator's figures around it."""

    run_id: str
    campaign_id: int
    before: dict[str, int]
    at_kill: dict[str, int]


@pytest.fixture(scope="module")
def killed(demo: RunningDemo) -> Killed:
    """The second campaign, a week after the demo's; its run has ended."""
    with connect(demo.dsn) as conn:
        conn.execute("update campaign_message set claimed_at = claimed_at - interval '8 days'")
    before = stats(demo)
    fault = {"kind": "hang", "seconds": 600, "remember": True, "count": IN_DOUBT}
    request_json(demo.simulator + "/_sim/faults", "POST", fault)
    run_id = demo.api("marketer").trigger(SEND, CAMPAIGN)
    approver = Approver(demo, run_id)

    def states() -> str:
        """For whoever reads that it did not come true."""
        tasks = demo.api("engineer").tasks(SEND, run_id)
        return ", ".join(f"{task['task_id']} {task['state']}" for task in tasks) + f"; {stats(demo)}"

    until(lambda: stats(demo)["accepted"] >= before["accepted"] + 150, meanwhile=approver, or_tell=states)
    pid = next(task["pid"] for task in demo.api().tasks(SEND, run_id) if task["task_id"] == "send")
    assert pid in {child.pid for child in psutil.Process(demo.process.pid).children(recursive=True)}
    os.kill(pid, signal.SIGKILL)
    at_kill = stats(demo)
    demo.api().wait_for_run(SEND, run_id, timeout=PATIENCE, meanwhile=approver)
    with connect(demo.dsn) as conn:
        campaign = conn.execute("select id from campaign where run_key like %s", (f"%{run_id}",)).fetchone()
    assert campaign is not None
    return Killed(run_id, campaign["id"], before, at_kill)


def test_the_demo_prints_balanced_books(demo: RunningDemo) -> None:
    assert [line for line in demo.output if line.startswith("  ! ")] == [], "\n".join(demo.output)
    judge = stats(demo)
    assert judge["accepted"] > 1_000
    assert (judge["duplicate_recipients"], judge["duplicate_references"]) == (0, 0)


def test_a_killed_sender_is_tried_again_and_repeats_nothing_and_loses_nobody(
    demo: RunningDemo, killed: Killed
) -> None:
    (send,) = [task for task in demo.api().tasks(SEND, killed.run_id) if task["task_id"] == "send"]
    assert (send["state"], send["try_number"]) == ("success", 2)
    # Everything is told by now, or by the log.
    until(lambda: not stats(demo)["pushes_waiting"])
    for dag in ("pull_message_logs__acme", "refresh_reports__acme"):
        run = demo.api("engineer").trigger(dag)
        demo.api().wait_for_run(dag, run, timeout=PATIENCE)

    judge, figures = stats(demo), figures_of(demo, killed.campaign_id)
    assert (judge["duplicate_recipients"], judge["duplicate_references"]) == (0, 0)
    arrived = judge["accepted"] - killed.before["accepted"]
    assert killed.at_kill["accepted"] - killed.before["accepted"] < arrived, "the kill came in the middle"
    assert figures.balance == 0
    assert (figures.waiting, figures.sending) == (0, 0)
    assert figures.accepted == arrived, "what CM.com took without an answer is found by its reference"
    # Only requests that were on their way at the kill and never arrived may stay in doubt.
    assert figures.planned == figures.accepted + figures.rejected + figures.uncertain
    assert figures.uncertain <= SendSettings("any", messages_per_second=1).lanes, "one request per lane"
    in_doubt = references(demo, killed.campaign_id, "uncertain")
    assert not in_doubt & {message["reference"] for message in arrivals(demo)}


def test_a_cleared_run_sends_nothing_again(demo: RunningDemo, killed: Killed) -> None:
    before, figures = stats(demo), figures_of(demo, killed.campaign_id)
    path = f"dags/{SEND}/dagRuns/{killed.run_id}/clear"
    demo.api("engineer").post(path, {"dry_run": False})
    approver = Approver(demo, killed.run_id)
    demo.api().wait_for_run(SEND, killed.run_id, timeout=PATIENCE, meanwhile=approver)
    assert {task["state"] for task in demo.api().tasks(SEND, killed.run_id)} == {"success"}
    after = stats(demo)
    assert (after["messages"], after["requests"]) == (before["messages"], before["requests"])
    again = figures_of(demo, killed.campaign_id)
    assert (again.target, again.planned, again.accepted, again.uncertain) == (
        figures.target,
        figures.planned,
        figures.accepted,
        figures.uncertain,
    )
    with connect(demo.dsn) as conn:
        runs = conn.execute(
            "select count(*) as n from campaign where run_key like %s", (f"%{killed.run_id}",)
        )
        assert runs.fetchone() == {"n": 1}


def test_no_number_is_in_this_airflow_or_in_any_log(demo: RunningDemo, killed: Killed) -> None:
    known = forms(build_sample(people=2_000, seed=26).numbers)
    metadata = demo.dsn.rsplit("/", 1)[0] + "/airflow"
    assert numbers_in(database_text(demo.dsn), known), "the search finds what is there"
    assert numbers_in(database_text(metadata), known) == set()
    for file, text in log_texts(demo.folder / "logs", demo.folder / "airflow" / "logs"):
        assert numbers_in(text, known) == set(), file
    assert numbers_in("\n".join(demo.output), known) == set()


class Approver:
    """Answers what the run asks, after a look at it; and again when it is asked again (see `approve` in its Dag)."""

    def __init__(self, demo: RunningDemo, run_id: str) -> None:
        self._api = demo.api("approver")
        self._run_id = run_id
        self._seen: dict[str, float] = {}

    def __call__(self) -> None:
        for question in self._api.open_questions(SEND, self._run_id):
            seen = self._seen.setdefault(question["task_instance"]["id"], time.monotonic())
            if time.monotonic() - seen >= READING_TIME:
                self._api.answer(question, "Approve")


def stats(demo: RunningDemo) -> dict[str, int]:
    return dict(request_json(demo.simulator + "/_sim/stats", "GET"))


def arrivals(demo: RunningDemo) -> list[dict[str, Any]]:
    """Every message that CM.com has seen."""
    answer = httpx.get(demo.simulator + "/_sim/messages", timeout=60).raise_for_status()
    return [json.loads(line) for line in answer.text.splitlines()]


def figures_of(demo: RunningDemo, campaign_id: int) -> Funnel:
    """Counted in the ledger now."""
    with connect(demo.dsn) as conn:
        return funnel(conn, campaign_id, live=True)


def references(demo: RunningDemo, campaign_id: int, state: str) -> set[str]:
    with connect(demo.dsn) as conn:
        rows = conn.execute(
            "select reference from campaign_message where campaign_id = %s and state = %s",
            (campaign_id, state),
        ).fetchall()
    return {row["reference"] for row in rows}


def until(
    condition: Callable[[], Any],
    *,
    meanwhile: Callable[[], None] = lambda: None,
    or_tell: Callable[[], str] = lambda: "",
) -> None:
    """Wait until it holds; whoever waits in vain is told."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"it does not come true: {or_tell()}")
        meanwhile()
        time.sleep(0.1)
