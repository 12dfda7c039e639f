"""An Airflow of this folder's own: its home is set before Airflow is imported for the first time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cm_com.examples import TOKEN
from tests.support.simulator import ACCOUNT, Simulator, running_simulator


@pytest.fixture(scope="session")
def airflow_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow process with an empty home and no examples."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    return {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")} | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }


@pytest.fixture(scope="session")
def migrated_airflow(airflow_environment: dict[str, str]) -> dict[str, str]:
    """The same, with a migrated metadata database on SQLite."""
    airflow(airflow_environment, "db", "migrate")
    return airflow_environment


@pytest.fixture(scope="session")
def _airflow_in_this_process(airflow_environment: dict[str, str]) -> Iterator[None]:
    """Imports Airflow here with that home, if nothing else has imported it yet."""
    changed = {
        name: value
        for name, value in airflow_environment.items()
        if name.startswith("AIRFLOW_") and name not in os.environ
    }
    os.environ.update(changed)
    import cm_com.hooks  # noqa: F401 - for its effect

    yield
    for name in changed:
        del os.environ[name]


@pytest.fixture
def connect(_airflow_in_this_process: None, monkeypatch: pytest.MonkeyPatch) -> object:
    """Defines the connection ``cm_com_test`` in the environment."""

    def define(host: str | None, *, password: str | None = TOKEN, **extra: object) -> None:
        connection = {
            "conn_type": "cm_com",
            "host": host,
            "password": password,
            "extra": {
                "sender": "+31687654321",
                "account_id": ACCOUNT,
                "channel_id": "22222222-2222-2222-2222-222222222222",
            }
            | extra,
        }
        monkeypatch.setenv("AIRFLOW_CONN_CM_COM_TEST", json.dumps(connection))

    return define


@pytest.fixture(scope="session")
def _simulator() -> Iterator[Simulator]:
    with running_simulator(token=TOKEN, speed=60) as simulator:
        yield simulator


@pytest.fixture
def simulator(_simulator: Simulator) -> Iterator[Simulator]:
    """One simulator for the folder, empty and without faults at the start of each test."""
    _simulator.reset()
    _simulator.faults()
    yield _simulator
    _simulator.faults()


def airflow(environment: dict[str, str], *arguments: str) -> str:
    """Run one Airflow command and give its output."""
    command = [str(Path(sys.executable).with_name("airflow")), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
