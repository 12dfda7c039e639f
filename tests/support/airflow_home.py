"""An Airflow of the tests' own: its home is set before Airflow is imported for the first time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


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
def airflow_in_this_process(airflow_environment: dict[str, str]) -> Iterator[None]:
    """Imports Airflow here with that home, if nothing else has imported it yet."""
    changed = {
        name: value
        for name, value in airflow_environment.items()
        if name.startswith("AIRFLOW_") and name not in os.environ
    }
    os.environ.update(changed)
    import airflow.sdk  # noqa: F401 - for its effect

    yield
    for name in changed:
        del os.environ[name]


def airflow(environment: dict[str, str], *arguments: str) -> str:
    """Run one Airflow command and give its output."""
    command = [str(Path(sys.executable).with_name("airflow")), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
