"""Airflow as processes of this machine: its environment, its database, start, health, stop.

Not ``airflow standalone``: that forces the SimpleAuthManager (no roles per Dag) and leaves processes behind
when it is ended (Airflow 3.3.2). `include.local.commands` lists what is run.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from include.entities import Entity
from include.local import commands, processes
from include.local.api import AirflowApi
from include.local.http import HttpUnreachable
from include.local.instance import Instance
from include.local.postgres import Postgres

UI_PORT = 8080
UI_PORT_VARIABLE = "AIRFLOW_PORT"
READY_TIMEOUT = 180.0  # seconds; 24 s when both cores are free

HEALTHY = ("metadatabase", "scheduler", "triggerer", "dag_processor")
USERS = ("admin", "engineer", "marketer", "approver", "analyst")


@dataclass
class Airflow:
    """A running Airflow: ``url`` of its UI, ``api`` as its admin."""

    url: str
    environment: Mapping[str, str] = field(repr=False)
    api: AirflowApi
    running: list[processes.Process]

    def check(self) -> None:
        """Raise `processes.ProcessFailed` if one of the processes has ended."""
        for process in self.running:
            process.check()


def environment(
    instance: Instance, postgres: Postgres, *, entity: Entity, port: int, connections: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of Airflow's processes.

    ``connections`` maps connection ids to Airflow's JSON or URI form. What the caller's own environment says
    of Airflow is left out, so that somebody's other Airflow is neither used nor harmed.
    """
    home = instance.folder / "airflow"
    url = f"http://127.0.0.1:{port}"
    database = postgres.dsn("airflow").split("://", 1)[1]
    settings = {
        "CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "CORE__DAGS_FOLDER": str(commands.ROOT / "dags"),
        "CORE__PLUGINS_FOLDER": str(commands.ROOT / "plugins"),
        "CORE__EXECUTOR": "LocalExecutor",
        # LocalExecutor keeps as many idle workers as this; 32 is the default.
        "CORE__PARALLELISM": "8",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__FERNET_KEY": instance.secrets.fernet_key,
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "CORE__TEST_CONNECTION": "Enabled",
        "CORE__DEFAULT_TIMEZONE": "utc",
        "DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
        "DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+asyncpg://{database}",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__BASE_URL": url,
        "API__SECRET_KEY": instance.secrets.api_secret,
        "API__WORKERS": "1",
        "API_AUTH__JWT_SECRET": instance.secrets.jwt_secret,
        "API_AUTH__JWT_ISSUER": "whatsapp-demo",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        # A Dag file takes 2 s of a core to import (Airflow itself): see an edit, but do no more than that.
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
        "DAG_PROCESSOR__PARSING_PROCESSES": "2",
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(processes.free_port()),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(processes.free_port()),
        "LOGGING__COLORED_CONSOLE_LOG": "False",
        "FAB__CUSTOM_ROLES": commands.all_roles(),
        "FAB__UPDATE_FAB_PERMS": "True",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    return {
        **own,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", os.defpath)]),
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        **{f"AIRFLOW_CONN_{name.upper()}": value for name, value in connections.items()},
        commands.ADMIN_PASSWORD_VARIABLE: instance.secrets.login,
        "WHATSAPP_SUPPRESSION_KEY": instance.secrets.suppression_key,
        "WHATSAPP_WEBHOOK_SECRETS": f"{entity.name}={instance.secrets.webhook_secret}",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONUNBUFFERED": "1",
    }


def has_template(postgres: Postgres) -> bool:
    """Whether Airflow's migrations have run here for the versions that are installed."""
    return postgres.has_database(_template_name())


def prepare_database(instance: Instance, postgres: Postgres, env: Mapping[str, str]) -> None:
    """Create the database ``airflow`` if it is missing. Raises ProcessFailed.

    Airflow's migrations take 15 s, so they run once, into a template that is copied.
    """
    template = _template_name()
    if not postgres.has_database(template):
        making = f"{template}_new"
        postgres.drop_database(making)
        postgres.create_database(making)
        there = postgres.dsn(making).split("://", 1)[1]
        once = {**env, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{there}"}
        once["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"] = f"postgresql+asyncpg://{there}"
        commands.initialise_airflow(once, instance.folder)
        postgres.rename_database(making, template)
    postgres.create_database("airflow", template=template)


def start(instance: Instance, env: Mapping[str, str], running: list[processes.Process]) -> Airflow:
    """Start Airflow's parts, each in its own process group, added to ``running``; then `wait_until_ready`."""
    url = env["AIRFLOW__API__BASE_URL"]
    airflow = Airflow(url, env, AirflowApi(url, "admin", instance.secrets.login), [])
    for name, (program, *arguments) in commands.AIRFLOW.items():
        command = [commands.program(program), *arguments]
        process = processes.start(name, command, folder=instance.folder, env=env, cwd=commands.ROOT)
        running.append(process)
        airflow.running.append(process)
    return airflow


def wait_until_ready(airflow: Airflow, *, timeout: float = READY_TIMEOUT) -> None:
    """Wait until every part says it is healthy. Raises ProcessFailed if one has ended or time is over."""
    deadline = time.monotonic() + timeout
    states: dict[str, str] = {}
    while [name for name in HEALTHY if states.get(name) != "healthy"]:
        airflow.check()
        if time.monotonic() > deadline:
            ill = [name for name in HEALTHY if states.get(name) != "healthy"]
            raise processes.ProcessFailed(
                f"Airflow is not ready after {timeout:.0f} s: {', '.join(ill)} not healthy"
            )
        time.sleep(0.3)
        try:
            states = airflow.api.health()
        except HttpUnreachable:
            continue


def ensure_users(airflow: Airflow, instance: Instance, entity: Entity) -> None:
    """One user for each duty of the entity, all with the instance's password."""
    for name in USERS:
        roles = ["Admin"] if name == "admin" else [getattr(entity.settings.roles, name)]
        if roles[0]:
            airflow.api.add_user(name, password=instance.secrets.login, roles=roles)


def _template_name() -> str:
    parts = ["apache-airflow", "apache-airflow-providers-fab"]
    versions = " ".join(f"{part} {importlib.metadata.version(part)}" for part in parts)
    return f"airflow_{hashlib.sha256(versions.encode()).hexdigest()[:12]}"
