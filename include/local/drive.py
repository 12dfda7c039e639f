"""Drive the real Dags of one entity through Airflow's REST API, as the people would who use them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from include.local.airflow import Airflow
from include.local.api import AirflowApi, RunTooSlow

Say = Callable[[str], None]

CHAIN = (
    "pull_optins",
    "reconcile_subscriptions",
    "sync_templates",
    "send_campaign",
    "pull_message_logs",
    "refresh_reports",
)
RUN_TIMEOUT = 300.0  # seconds; a task takes some seconds to start on two busy cores
# Seconds. People read before they answer. An answer that comes before the scheduler has heard that the question's
# process ended fails the task ("state mismatch", Airflow 3.3.2), and the Dag asks again.
READING_TIME = 5.0
ASSET_TIMEOUT = 60.0  # seconds until an asset's event has started a run


class NotApproved(RuntimeError):
    """The campaign did not ask for approval."""


def collect_optins(airflow: Airflow, entity: str, say: Say) -> None:
    """Sources → staging → subscription table. The first Dag's asset starts the second one."""
    api = airflow.api
    pull, reconcile = f"pull_optins__{entity}", f"reconcile_subscriptions__{entity}"
    for verb in CHAIN:
        api.wait_for_dag(f"{verb}__{entity}")
    known = {run["dag_run_id"] for run in api.runs(reconcile)}
    api.unpause(reconcile)
    run_dag(airflow, pull, say)
    say(f"{reconcile} is started by the pull's asset")
    deadline = time.monotonic() + ASSET_TIMEOUT
    while not (new := [run["dag_run_id"] for run in api.runs(reconcile) if run["dag_run_id"] not in known]):
        airflow.check()
        if time.monotonic() > deadline:
            raise RunTooSlow(f"No asset event has started {reconcile} within {ASSET_TIMEOUT:.0f} s.")
        time.sleep(0.5)
    api.wait_for_run(reconcile, new[0], timeout=RUN_TIMEOUT, meanwhile=airflow.check)


def run_dag(airflow: Airflow, dag_id: str, say: Say) -> str:
    """Start the Dag and wait for its success; return the run's id."""
    say(dag_id)
    airflow.api.unpause(dag_id)
    run_id = airflow.api.trigger(dag_id)
    airflow.api.wait_for_run(dag_id, run_id, timeout=RUN_TIMEOUT, meanwhile=airflow.check)
    return run_id


def send_campaign(airflow: Airflow, entity: str, conf: dict[str, Any], say: Say, *, password: str) -> str:
    """The marketer starts a campaign, the approver approves its plan, it is sent; return the run's id."""
    dag_id = f"send_campaign__{entity}"
    marketer = _as("marketer", airflow.api, password)
    approver = _as("approver", airflow.api, password)
    airflow.api.unpause(dag_id)
    run_id = marketer.trigger(dag_id, conf)
    say(f"{dag_id}: started by the marketer")
    asked: dict[str, float] = {}

    def approve() -> None:
        airflow.check()
        for question in approver.open_questions(dag_id, run_id):
            first_seen = asked.setdefault(question["task_instance"]["id"], time.monotonic())
            if time.monotonic() - first_seen >= READING_TIME:
                say(f"{dag_id}: “{question['subject']}” – approved by the approver")
                approver.answer(question, "Approve")
                asked[question["task_instance"]["id"]] = time.monotonic()

    airflow.api.wait_for_run(dag_id, run_id, timeout=2 * RUN_TIMEOUT, meanwhile=approve)
    if not asked:
        raise NotApproved(f"{dag_id} sent without asking anybody: run {run_id}")
    return run_id


def _as(name: str, api: AirflowApi, password: str) -> AirflowApi:
    return replace(api, username=name, password=password, _token="")
