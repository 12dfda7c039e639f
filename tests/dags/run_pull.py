"""Run `pull_optins__acme` once, as `dag.test()` does, and print what became of its tasks; its own process."""

from __future__ import annotations

import json
import sys
from pathlib import Path

FOLDER = Path(sys.argv[1])
sys.path.insert(0, str(FOLDER))

import pull_optins  # noqa: E402

if __name__ == "__main__":
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    pull_optins.pull_optins__acme.test(run_conf=json.loads(sys.argv[2]))
    with create_session() as session:
        run = session.query(DagRun).order_by(DagRun.id.desc()).first()
        found = [
            [ti.task_id, ti.map_index, str(ti.state), ti.try_number]
            for ti in run.get_task_instances(session=session)
        ]
    print("\nRESULT " + json.dumps(sorted(found)))  # noqa: T201
