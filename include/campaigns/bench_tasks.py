"""How many task instances a campaign's run has: counted in its Dag as Airflow stores it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ALLOWED = 10
ROOT = Path(__file__).parents[2]
DAG = "send_campaign__acme"
# A process of its own, with Airflow: `include` does not import it. What it prints is what the scheduler reads.
READ = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

sys.path.insert(0, sys.argv[1])
bag = DagBag(sys.argv[1] + "/send_campaign.py")
if bag.import_errors:
    raise SystemExit(str(bag.import_errors))
print("RESULT " + json.dumps(DagSerialization.to_dict(bag.dags[sys.argv[2]])))
"""


def tasks_per_campaign() -> dict[str, Any]:
    """The most task instances that one run can have, whatever its audience.

    Every task counts once, and a mapped one as often as it can be mapped at most: over the workers that the form
    allows. A task mapped over anything else, such as people, would have no such bound, and is refused.
    """
    dag = _serialized()
    workers = next(param for name, param in dag["params"] if name == "workers")["schema"]["__var"]
    tasks = [task["__var"] for task in dag["tasks"]]
    times = {task["task_id"]: _mapped(task, workers["maximum"]) for task in tasks}
    most = sum(times.values())
    by_default = sum(_mapped(task, workers["default"]) for task in tasks)
    return {
        "value": most,
        "unit": "task instances",
        "baseline": ALLOWED,
        "ratio": round(ALLOWED / most, 3),
        "by_default": by_default,
        "tasks": times,
    }


def _mapped(task: dict[str, Any], workers: int) -> int:
    """How often a task is there, given the number of sending workers."""
    if not task.get("_is_mapped"):
        return 1
    over = task["expand_input"]["value"]["__var"]
    sources = [source["__var"]["task_id"] for source in over.values()]
    if sources != ["workers"]:
        raise ValueError(f"Task {task['task_id']} is mapped over {sources}, and nothing bounds how often.")
    return workers


def _serialized() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="whatsapp-bench-") as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        environment |= {
            "AIRFLOW_HOME": folder,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        }
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", READ, str(ROOT / "dags"), DAG],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    dag = json.loads(done.stdout.split("RESULT ", 1)[1])["dag"]
    for _, param in dag["params"]:
        param["schema"]["__var"].setdefault("default", param.get("default"))
    return dict(dag)
