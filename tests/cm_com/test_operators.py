"""The operators in real Dag runs: `dag.test()` in its own process, Airflow's own store, the simulator."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cm_com.examples import SENDER, TOKEN, secrets_in
from tests.support.simulator import Simulator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]
DAG_FILE = Path(__file__).with_name("operators_dag.py")


class Runner:
    """A process that runs the Dag on command, and everything it printed in the current test."""

    def __init__(self, environment: dict[str, str], simulator: Simulator) -> None:
        connection = {
            "conn_type": "cm_com",
            "host": simulator.url,
            "password": TOKEN,
            "extra": {"sender": SENDER, "batch_size": 2},
        }
        self.environment = environment | {"AIRFLOW_CONN_CM_COM_TEST": json.dumps(connection)}
        self.dag_file = Path(environment["AIRFLOW_HOME"]) / "dags" / DAG_FILE.name
        shutil.copy(DAG_FILE, self.dag_file)
        self.printed = ""
        self.process: subprocess.Popen[str] | None = None

    def run(self, **conf: Any) -> dict[str, Any]:
        """A new run."""
        self.command("run", json.dumps(conf))
        return self.result()

    def again(self, task: str) -> dict[str, Any]:
        """Clear a task of the latest run and run it."""
        self.command("again", task)
        return self.result()

    def command(self, *words: str) -> None:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, str(self.dag_file)],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, Any]:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("RESULT "):
                read: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
                return read
            self.printed += line
        raise AssertionError(self.printed)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@pytest.fixture(scope="module")
def shared_runner(migrated_airflow: dict[str, str], _simulator: Simulator) -> Iterator[Runner]:
    runner = Runner(migrated_airflow, _simulator)
    yield runner
    runner.kill()


@pytest.fixture
def runner(shared_runner: Runner, simulator: Simulator) -> Runner:
    shared_runner.printed = ""
    return shared_runner


def test_a_preview_a_send_and_the_log(runner: Runner, simulator: Simulator) -> None:
    told = runner.run(people=5)
    assert set(told["states"].values()) == {"success"}, runner.printed
    preview, sent = told["returned"]["preview"], told["returned"]["send"]
    assert (preview["dry_run"], preview["messages"], preview["accepted"]) == (True, 5, 0)
    assert {key: sent[key] for key in ("dry_run", "messages", "accepted", "rejected", "uncertain")} == {
        "dry_run": False,
        "messages": 5,
        "accepted": 5,
        "rejected": 0,
        "uncertain": 0,
    }
    arrived = simulator.messages()
    assert {message["reference"] for message in arrived} == set(sent["outcomes"])
    assert len(arrived) == 5
    assert simulator.stats()["requests"] == 3

    log = told["returned"]["log"]
    lines = [
        json.loads(line) for line in Path(log["output_path"].removeprefix("file://")).read_text().splitlines()
    ]
    assert log["rows"] == len(lines) == 5
    assert {line["reference"] for line in lines} == set(sent["outcomes"])
    assert {line["text"] for line in lines} == {None}, "texts are left out unless asked for"
    # The Dag's own task returned numbers; the operators keep, log and return none.
    assert secrets_in(runner.printed) == [], runner.printed
    assert secrets_in(told["kept"]) == []
    assert secrets_in(json.dumps([preview, sent, log])) == []

    again = runner.again("send")
    assert again["states"]["send"] == "success"
    assert again["returned"]["send"] == sent, "a cleared task tells the same"
    assert simulator.stats()["messages"] == 5, "and sends nothing"


def test_being_asked_to_wait_is_retried(runner: Runner, simulator: Simulator) -> None:
    simulator.faults({"kind": "unavailable", "status": 429, "retry_after": 1, "count": 1})
    told = runner.run(people=3)
    assert (told["states"]["send"], told["tries"]["send"]) == ("success", 2), runner.printed
    assert told["returned"]["send"]["accepted"] == 3
    assert simulator.stats()["duplicate_recipients"] == 0


def test_a_refused_token_is_not_retried(runner: Runner, simulator: Simulator) -> None:
    simulator.faults({"kind": "gateway_error", "code": 101})
    told = runner.run(people=3)
    assert (told["states"]["send"], told["tries"]["send"]) == ("failed", 1), runner.printed
    assert "Correct the product token" in runner.printed
    assert secrets_in(runner.printed) == [], runner.printed


def test_an_answer_that_was_lost_is_not_retried_and_a_cleared_task_sends_the_rest(
    runner: Runner, simulator: Simulator
) -> None:
    simulator.faults({"kind": "answer_lost", "count": 1})
    told = runner.run(people=5)
    assert (told["states"]["send"], told["tries"]["send"]) == ("failed", 1), runner.printed
    assert simulator.stats()["accepted"] == 2

    again = runner.again("send")
    assert again["states"]["send"] == "failed"
    assert "2 of 5 messages may or may not have been sent" in runner.printed
    stats = simulator.stats()
    assert (stats["accepted"], stats["unique_references"], stats["duplicate_recipients"]) == (5, 5, 0)
    assert secrets_in(runner.printed) == [], runner.printed


def test_killed_while_a_request_is_out_nobody_is_sent_to_twice(runner: Runner, simulator: Simulator) -> None:
    simulator.faults({"kind": "hang", "seconds": 300, "remember": True, "count": 1})
    runner.command("run", json.dumps({"people": 5}))
    simulator.wait_until(lambda stats: stats["accepted"] == 2, seconds=120)
    runner.kill()

    again = runner.again("send")
    assert again["states"]["send"] == "failed"
    assert "2 of 5 messages may or may not have been sent" in runner.printed
    stats = simulator.stats()
    assert (stats["accepted"], stats["unique_references"], stats["duplicate_recipients"]) == (5, 5, 0)


@pytest.mark.parametrize(
    ("fields", "sends"),
    [
        ({}, False),
        ({"dry_run": True}, False),
        ({"dry_run": "{{ params.go }}"}, False),
        ({"dry_run": 0}, False),
        ({"dry_run": False}, True),
    ],
)
@pytest.mark.usefixtures("airflow_in_this_process")
def test_only_a_plain_false_turns_the_dry_run_off(fields: dict[str, Any], *, sends: bool) -> None:
    from cm_com.operators import CmComSendOperator

    operator = CmComSendOperator(
        task_id="send",
        template="t",
        namespace="n",
        language="en",
        recipients=["+31612345000"],
        content="x",
        **fields,
    )
    assert operator.sends is sends


@pytest.mark.usefixtures("airflow_in_this_process")
def test_what_must_be_said_has_no_default() -> None:
    from cm_com.operators import CmComMessageLogOperator, CmComSendOperator

    given = {
        "template": "t",
        "namespace": "n",
        "language": "en",
        "recipients": ["+31612345000"],
        "content": "x",
    }
    for missing in given:
        with pytest.raises(TypeError, match=missing):
            CmComSendOperator(
                task_id="send", **{name: value for name, value in given.items() if name != missing}
            )
    with pytest.raises(TypeError, match="output_path"):
        CmComMessageLogOperator(task_id="log")
