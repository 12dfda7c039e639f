"""The Dag files: every entity's Dags with their manners, and a broken entity that breaks nobody else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VERBS = {
    "pull_optins",
    "reconcile_subscriptions",
    "sync_templates",
    "send_campaign",
    "pull_message_logs",
    "propagate_optouts",
    "compare_optins",
    "refresh_reports",
    "privacy",
}
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]


def read(tmp_path: Path, entities: Path | None = None) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= {
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
    }
    if entities is not None:
        environment["WHATSAPP_ENTITIES"] = str(entities)
    command = [sys.executable, str(Path(__file__).with_name("read_dags.py")), str(ROOT / "dags")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=True)
    result: dict[str, Any] = json.loads(done.stdout.split("RESULT ", 1)[1])
    return result


def test_every_dag_says_who_it_is_for_and_reading_them_is_quick(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    found = read(tmp_path)
    assert found["errors"] == {}
    assert set(found["dags"]) == {f"{verb}__acme" for verb in VERBS}
    for dag_id, dag in found["dags"].items():
        assert "Acme Outdoor" in dag["description"], dag_id
        assert dag["doc"].startswith("### "), dag_id
        assert dag["tags"] == ["acme", "whatsapp"]
        assert dag["access"]["acme_analyst"] == ["DAG Runs", "DAGs"]
        for task_id, task in dag["tasks"].items():
            assert task["owner"] == "acme", (dag_id, task_id)
            assert task["doc"] or task_id == "approve", (dag_id, task_id)
    assert len(found["dags"]["send_campaign__acme"]["tasks"]) + 3 <= 10  # `send` is mapped over at most four
    tell(f"reading the Dag files took {found['seconds']:.2f} s of CPU")
    # A wide bound: the figure that counts is measured by `make bench`, not by a test on a busy machine.
    assert found["seconds"] < 10


def test_a_broken_entity_is_one_import_error_and_the_others_run(tmp_path: Path) -> None:
    entities = tmp_path / "entities"
    for name in ("acme", "zenith"):
        shutil.copytree(ROOT / "include" / "entities" / "acme", entities / name)
    settings = entities / "zenith" / "entity.yaml"
    settings.write_text(
        settings.read_text().replace("name: acme", "name: zenith").replace("acme_", "zenith_")
    )
    # zenith also asks people to confirm, which gives it one Dag more.
    settings.write_text("double_opt_in: {template: order_update}\n" + settings.read_text())
    question = entities / "zenith" / "templates" / "order_update.yaml"
    button = ", buttons: [{type: quick_reply, text: I do, payload: CONFIRM}]}"
    question.write_text(question.read_text().replace('."}', '."' + button))
    both = read(tmp_path, entities)
    assert both["errors"] == {}
    confirming = both["dags"]["confirm_optins__zenith"]["tasks"]
    assert set(confirming) == {"expire", "plan", "send", "settle"}
    assert "confirm_optins__acme" not in both["dags"]
    assert {dag_id.rpartition("__")[2] for dag_id in both["dags"]} == {"acme", "zenith"}

    source = entities / "acme" / "sources" / "webshop.yaml"
    source.write_text(source.read_text().replace("wording:", "wordin:"))
    found = read(tmp_path, entities)
    assert set(found["dags"]) == {f"{verb}__zenith" for verb in {*VERBS, "confirm_optins"}}
    (error,) = found["errors"].values()
    assert "acme/sources/webshop.yaml:" in error
    assert "Did you mean 'wording'?" in error
    assert "zenith" not in error.replace(str(tmp_path), "")
