"""Read the Dag folder as Airflow does and print what came of it as JSON; its own process, for its own AIRFLOW_HOME."""

from __future__ import annotations

import json
import sys
import time

import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.fab.www.security import permissions  # what `access_control` makes Airflow import
from airflow.providers.standard.operators import hitl
from airflow.sdk.definitions.mappedoperator import MappedOperator

_AIRFLOW = (airflow.sdk.DAG, airflow.sdk.Asset, airflow.sdk.task, airflow.sdk.Param, airflow.sdk.Connection)
_AIRFLOW += (airflow.sdk.AssetOrTimeSchedule, airflow.sdk.CronTriggerTimetable, hitl, permissions)


def main(folder: str) -> None:
    sys.path.insert(0, folder)
    DagBag("/nonexistent")  # whatever Airflow does the first time
    began = time.process_time()
    bag = DagBag(folder)
    seconds = time.process_time() - began
    dags = {
        dag_id: {
            "description": dag.description,
            "doc": dag.doc_md,
            "tags": sorted(dag.tags),
            "access": {role: sorted(may) for role, may in (dag.access_control or {}).items()},
            "tasks": {
                task.task_id: {
                    "retries": task.retries,
                    "owner": task.owner,
                    # Airflow 3.3.2 gives a mapped task no text, not even its docstring.
                    "doc": task.doc_md or ("mapped" if isinstance(task, MappedOperator) else None),
                }
                for task in dag.tasks
            },
        }
        for dag_id, dag in bag.dags.items()
    }
    print("RESULT " + json.dumps({"seconds": seconds, "dags": dags, "errors": bag.import_errors}))  # noqa: T201


main(sys.argv[1])
