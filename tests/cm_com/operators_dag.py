"""The Dag of test_operators.py. As a program it takes one command a line: `run <conf>` or `again <task>`.

A process of its own, since Airflow reads its home once, at import. After each command it prints as JSON what
became of the run.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime

from airflow.sdk import DAG, task
from cm_com.operators import CmComMessageLogOperator, CmComSendOperator

COMMON = {
    "template": "{{ params.template }}",
    "namespace": "n1",
    "language": "en",
    "content": "Your order",
    "cm_com_conn_id": "cm_com_test",
}

with DAG(
    "operators_dag",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    params={"template": "order_update", "people": 3},
) as dag:

    @task(show_return_value_in_logs=False)
    def people(params: dict[str, int]) -> list[dict[str, object]]:
        return [
            {"number": f"+316{12345000 + index}", "body": [f"Jansje {index}"]}
            for index in range(params["people"])
        ]

    preview = CmComSendOperator(task_id="preview", recipients=people(), **COMMON)
    send = CmComSendOperator(
        task_id="send",
        recipients="{{ ti.xcom_pull('people') | tojson }}",
        body=["{{ params.template }}"],
        grouping="{{ run_id }}",
        dry_run=False,
        retries=1,
        retry_delay=0.0,
        **COMMON,
    )
    log = CmComMessageLogOperator(
        task_id="log",
        output_path=f"file://{os.environ['AIRFLOW_HOME']}/log-{{{{ run_id }}}}.jsonl",
        start="{{ macros.datetime.now(macros.dateutil.tz.UTC) - macros.timedelta(hours=1) }}",
        end="{{ macros.datetime.now(macros.dateutil.tz.UTC) + macros.timedelta(seconds=1) }}",
        cm_com_conn_id="cm_com_test",
    )
    preview >> send >> log


def run_again(task_id: str) -> None:
    """Clear one task of the latest run, as a person would in the UI, and run it as the scheduler would."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import clear_task_instances
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.session import create_session

    with create_session() as session:
        run = session.query(DagRun).order_by(DagRun.id.desc()).first()
        ti = run.get_task_instance(task_id, session=session)
        clear_task_instances([ti], session, dag_run_state=False)
        session.commit()
        ti = run.get_task_instance(task_id, session=session)
        ti.try_number += 1
        session.commit()
        try:
            _run_task(ti=ti, task=dag.get_task(task_id))
        except Exception as error:  # noqa: BLE001 - the state is what is looked at
            print(f"{task_id} failed: {error}")  # noqa: T201


def report() -> dict[str, object]:
    """State, tries and return value of every task of the latest run, and what Airflow keeps of it."""
    from airflow.models.dagrun import DagRun
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.task_state_store import TaskStateStoreModel
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        run = session.query(DagRun).order_by(DagRun.id.desc()).first()
        xcoms = session.query(XComModel).filter_by(run_id=run.run_id, key="return_value")
        tis = run.get_task_instances(session=session)
        kept = [row.rendered_fields for row in session.query(RenderedTaskInstanceFields)]
        kept += [row.value for row in session.query(TaskStateStoreModel)]
        return {
            "states": {ti.task_id: ti.state for ti in tis},
            "tries": {ti.task_id: ti.try_number for ti in tis},
            "returned": {row.task_id: XComModel.deserialize_value(row) for row in xcoms},
            "kept": json.dumps(kept, default=str),
        }


if __name__ == "__main__":
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "run":
            dag.test(run_conf=json.loads(argument))
        else:
            run_again(argument)
        print("\nRESULT " + json.dumps(report()), flush=True)  # noqa: T201
