"""The demo as a program: killed and started again. What it does with campaigns is in tests/system."""

from __future__ import annotations

import psutil
import pytest

from include.local.http import request_json
from tests.dags.test_dag_files import VERBS
from tests.support.demo import RunningDemo

pytestmark = [pytest.mark.airflow, pytest.mark.demo, pytest.mark.timeout(1500)]


def test_a_killed_demo_starts_again_with_all_it_had(demo: RunningDemo) -> None:
    before = psutil.Process(demo.process.pid).children(recursive=True)
    accepted = request_json(demo.simulator + "/_sim/stats", "GET")["accepted"]
    funnel = [line for line in demo.output if line.startswith(("Target", "Accepted", "Read", "Balance"))]

    first = demo.seconds
    demo.kill_and_restart()

    alive = [
        process for process in before if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]
    assert alive == [], "the killed demo's processes outlived the next start"
    assert [line for line in demo.output if line in funnel] == funnel, "it shows the campaign it had"
    assert not [line for line in demo.output if "pull_optins" in line], "it does not run the chain again"
    assert request_json(demo.simulator + "/_sim/stats", "GET")["accepted"] == accepted
    assert demo.api("analyst").get("dags")["total_entries"] == len(VERBS)
    assert demo.seconds < first / 2, "30 s on two free cores, a minute at most"
