"""Runs the project's own Dags with `dag.test()`, one command a line; a process of its own, as Airflow wants it.

A command is JSON: {"dag": id, "conf": {...}, "environment": {...}, "cured_by": {...}}. `environment` is for this run.
With `cured_by` the environment changes to it once a task waits for its next try, which then comes at once. After each
run it prints what became of it as a line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session

RESULT = "RESULT "


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """These variables for the time of the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def cure(dag_id: str, values: dict[str, str]) -> Iterator[None]:
    """Change the environment as soon as one of the Dag's tasks waits for another try."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            with create_session() as session:
                waiting = session.query(TaskInstance).filter_by(dag_id=dag_id, state="up_for_retry").count()
            if waiting:
                os.environ.update(values)
                return

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def run(command: dict[str, Any], bag: DagBag) -> dict[str, Any]:
    """Walk through one Dag; what became of its tasks."""
    dag = bag.dags[command["dag"]]
    cured_by = command.get("cured_by")
    for task in dag.tasks if cured_by else ():
        # A mapped task keeps its arguments apart, and these runs have none that fails.
        if not task.is_mapped:
            task.retry_delay = timedelta(seconds=2)
    with environment({**dict.fromkeys(cured_by or {}, ""), **command.get("environment", {})}):
        if cured_by:
            with cure(dag.dag_id, cured_by):
                done = dag.test(run_conf=command.get("conf"))
        else:
            done = dag.test(run_conf=command.get("conf"))
    return report(done)


def report(run: DagRun) -> dict[str, Any]:
    """The run's id and state, and the state, tries and return value of each task (`id[index]` if mapped)."""
    with create_session() as session:
        run = session.merge(run)
        tis = run.get_task_instances(session=session)
        xcoms = session.query(XComModel).filter_by(dag_id=run.dag_id, run_id=run.run_id, key="return_value")
        return {
            "run_id": run.run_id,
            "state": str(run.state),
            "states": {_name(ti): ti.state and str(ti.state) for ti in tis},
            "tries": {_name(ti): ti.try_number for ti in tis},
            "returned": {_name(row): XComModel.deserialize_value(row) for row in xcoms},
        }


def _name(row: Any) -> str:
    return str(row.task_id) if row.map_index < 0 else f"{row.task_id}[{row.map_index}]"


def main(folder: str) -> None:
    sys.path.insert(0, folder)
    bag = DagBag(folder)
    # Whoever waits for a paused campaign in a test looks more often.
    sys.modules["wiring.campaign"].PAUSE_LOOK = timedelta(seconds=2)
    for line in sys.stdin:
        print("\n" + RESULT + json.dumps(run(json.loads(line), bag), default=str), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
