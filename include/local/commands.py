"""The commands this project consists of: processes in the demo, containers in docker-compose.yaml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from include.entities import EntityProblems, entity_names, load_entity
from include.local import processes
from include.local.roles import custom_roles

ROOT = Path(__file__).resolve().parents[2]
ADMIN_PASSWORD_VARIABLE = "WHATSAPP_ADMIN_PASSWORD"  # noqa: S105 - a variable's name

# Airflow's own parts, everywhere.
AIRFLOW: Mapping[str, tuple[str, ...]] = {
    "api-server": ("airflow", "api-server"),
    "scheduler": ("airflow", "scheduler"),
    "dag-processor": ("airflow", "dag-processor"),
    "triggerer": ("airflow", "triggerer"),
}
# What a deployment on several machines adds to them.
CLUSTER: Mapping[str, tuple[str, ...]] = {
    "worker": ("airflow", "celery", "worker"),
    "webhook": ("whatsapp", "webhook", "--host", "0.0.0.0", "--port", "8088"),  # noqa: S104 - a container
}
# Before anything else starts; `python -m include.local.commands` runs both.
MIGRATE_AIRFLOW = ("airflow", "db", "migrate")
MIGRATE_STORE = ("whatsapp", "db", "migrate")


def initialise_airflow(env: Mapping[str, str], folder: Path) -> None:
    """Migrate Airflow's database, make the entities' roles and the user ``admin``; safe to repeat.

    A new admin gets the password of the variable WHATSAPP_ADMIN_PASSWORD. Raises ProcessFailed.
    """
    run(MIGRATE_AIRFLOW, env, folder)
    who = ("--username", "admin", "--email", "admin@example.org", "--firstname", "Ad", "--lastname", "Min")
    # In one word: a password may begin with a dash.
    password = f"--password={env[ADMIN_PASSWORD_VARIABLE]}"
    run(("airflow", "users", "create", "--role", "Admin", *who, password), env, folder)


def all_roles() -> str:
    """``AIRFLOW__FAB__CUSTOM_ROLES`` for every entity that can be read; `whatsapp check` names the others."""
    roles: dict[str, list[dict[str, str]]] = {}
    for name in entity_names():
        try:
            roles |= custom_roles(load_entity(name))
        except EntityProblems:
            continue
    return json.dumps(roles)


def run(command: tuple[str, ...], env: Mapping[str, str], folder: Path, *, timeout: float = 600.0) -> None:
    """Run one command of our environment to its end, its output into ``folder/logs/commands.log``.

    Raises ProcessFailed with the end of what it printed.
    """
    done = subprocess.run(  # noqa: S603 - the commands are ours
        [program(command[0]), *command[1:]],
        env=dict(env),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    log = folder / "logs" / "commands.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as out:
        out.write(done.stdout)
    if done.returncode:
        shown = " ".join(command[:3])
        raise processes.ProcessFailed(f"`{shown}` ended with {done.returncode}:\n{processes.tail(log)}")


def program(name: str) -> str:
    """The program of that name beside our Python (.venv), else the one on the path (the official image)."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


if __name__ == "__main__":
    folder = Path(os.environ.get("AIRFLOW_HOME", "."))
    environment = {**os.environ, "AIRFLOW__FAB__CUSTOM_ROLES": all_roles()}
    try:
        initialise_airflow(environment, folder)
        run(MIGRATE_STORE, environment, folder)
    except processes.ProcessFailed as problem:
        sys.exit(str(problem))
