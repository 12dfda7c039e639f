"""`pull_optins` in a real Dag run: one task a source, and a source that fails is alone in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.optins import SourceRefused, SourceShapeChanged, SourceUnavailable
from tests.support.optins import HEADER, Store, write_csv

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
SOURCE = """
name: {name}
kind: {kind}
connection: {name}
columns: {{record_id: id, phone: phone, consent: consent, changed_at: changed}}
wording: survey-2026-03
collection_point: a form
options: {options}
"""
ROWS = [("1", "0470123456", "yes", "2026-03-01T10:00:00Z", "nl", "An", "Gent")]


def run(environment: dict[str, str], **conf: Any) -> tuple[dict[tuple[str, int], str], str]:
    """State by task and place in the mapping, and all that was printed."""
    command = [
        sys.executable,
        str(Path(__file__).with_name("run_pull.py")),
        str(ROOT / "dags"),
        json.dumps(conf),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)
    printed = done.stdout + done.stderr
    assert "\nRESULT " in printed, printed[-4000:]
    rows = json.loads(printed.rpartition("\nRESULT ")[2].splitlines()[0])
    return {(task, place): state for task, place, state, _ in rows}, printed


def test_a_source_that_fails_is_alone_in_it(
    migrated_airflow: dict[str, str], store: Store, tmp_path: Path
) -> None:
    entities = tmp_path / "entities"
    sources = entities / "acme" / "sources"
    sources.mkdir(parents=True)
    named = {
        "files": ("file", {"pattern": "drop*.csv"}),
        "refused": ("http", {"path": "/people"}),
        "shapeless": ("file", {"pattern": "drop*.csv", "separator": ";"}),
        "table": ("sql", {"table": "crm.people"}),
    }
    for name, (kind, options) in named.items():
        text = SOURCE.format(name=name, kind=kind, options=json.dumps(options))
        (sources / f"{name}.yaml").write_text(text)
    settings = (ROOT / "include/entities/acme/entity.yaml").read_text().splitlines()
    kept = [line for line in settings if not line.startswith("precedence")]
    (entities / "acme" / "entity.yaml").write_text("\n".join(kept))
    write_csv(store.folder / "drop.csv", ROWS)
    with psycopg.connect(store.dsn) as conn:
        conn.execute("create schema crm")
        conn.execute(
            "create table crm.people as select 2 as id, '0470123457' as phone, true as consent, now() as changed"
        )
    folder = {"conn_type": "fs", "extra": {"path": str(store.folder)}}
    environment = migrated_airflow | {
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "WHATSAPP_ENTITIES": str(entities),
        "AIRFLOW_CONN_WHATSAPP_DB": store.dsn,
        "AIRFLOW_CONN_FILES": json.dumps(folder),
        "AIRFLOW_CONN_SHAPELESS": json.dumps(folder),
        "AIRFLOW_CONN_TABLE": store.dsn,
    }
    states, printed = run(environment)
    pulled = [states["pull_source", place] for place in range(len(named))]
    assert pulled == ["success", "failed", "failed", "success"]
    assert states["announce", -1] == "success", "the records of the others go on to be reconciled"
    assert states["every_source_was_read", -1] == "upstream_failed", "and the run counts as failed"
    runs = store.rows("select source, state, pulled, problem from sync_run order by source")
    assert [(row["source"], row["state"], row["pulled"]) for row in runs] == [
        ("files", "staged", 1),
        ("refused", "failed", 0),
        ("shapeless", "failed", 0),
        ("table", "staged", 1),
    ]
    assert "there is no connection 'refused'" in runs[1]["problem"]
    assert "no column 'id'" in runs[2]["problem"]
    assert "0470123456" not in printed
    assert "+32470123456" not in printed
    assert HEADER[0] in runs[2]["problem"]


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (SourceUnavailable, "Retry"),
        (SourceRefused, "AirflowFailException"),
        (SourceShapeChanged, "AirflowFailException"),
    ],
)
def test_a_task_is_tried_again_only_where_that_can_help(
    problem: type[Exception], kind: str, airflow_in_this_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "dags")
    from wiring.errors import task_errors

    @task_errors
    def task() -> None:
        raise problem("the cause")

    with pytest.raises(Exception, match="the cause") as raised:
        task()
    assert type(raised.value).__name__ == kind
