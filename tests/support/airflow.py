"""Airflow's API server with FAB, two entities' Dags and a seeded ledger: for what needs a login, no scheduler."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from include.database import connect, migrate
from include.entities import load_entity
from include.local import airflow as airflows
from include.local import commands, processes
from include.local.api import AirflowApi
from include.local.http import HttpUnreachable
from include.local.instance import Instance, take_instance
from include.local.postgres import Postgres
from include.local.roles import custom_roles
from include.reports import refresh
from tests.support.ledger import START, add_campaign, many, small_campaign

OTHER = "zebra"
USERS = {
    "analyst": "acme_analyst",
    "marketer": "acme_marketer",
    "stranger": f"{OTHER}_analyst",
    "admin": "Admin",
}


@dataclass
class AirflowServer:
    """Its address, the password of all `USERS`, the store, and the campaigns by entity."""

    url: str
    password: str
    dsn: str
    folder: Path
    webhook_secret: str = field(repr=False)
    campaigns: dict[str, int] = field(default_factory=dict)

    def api(self, user: str) -> AirflowApi:
        """Airflow's REST API as one of the users."""
        return AirflowApi(self.url, user, self.password)

    def log(self) -> str:
        """All that the API server has written."""
        return (self.folder / "logs" / "api-server.log").read_text(errors="replace")


@pytest.fixture(scope="session")
def airflow_server(postgres: Postgres) -> Iterator[AirflowServer]:
    """The server of this test session, ended with it."""
    folder = Path(tempfile.mkdtemp(prefix="whatsapp-airflow-"))
    running: list[processes.Process] = []
    try:
        with take_instance(folder) as instance:
            try:
                yield _start(instance, postgres, running)
            finally:
                processes.stop_all(running)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(instance: Instance, postgres: Postgres, running: list[processes.Process]) -> AirflowServer:
    entities = _entities(instance.folder / "entities")
    dsn = postgres.create_database("whatsapp_of_airflow")
    migrate(dsn)
    port = processes.free_port()
    env = airflows.environment(
        instance,
        postgres,
        entity=load_entity("acme", entities),
        port=port,
        connections={
            "whatsapp_db": dsn,
            "cm_com_acme": json.dumps({"conn_type": "cm_com", "host": "http://127.0.0.1:9", "password": "x"}),
        },
    )
    env["WHATSAPP_ENTITIES"] = str(entities)
    env["AIRFLOW__FAB__CUSTOM_ROLES"] = json.dumps(
        custom_roles(load_entity("acme", entities)) | custom_roles(load_entity(OTHER, entities))
    )
    airflows.prepare_database(instance, postgres, env)
    for name in ("api-server", "dag-processor"):
        program, *arguments = commands.AIRFLOW[name]
        command = [commands.program(program), *arguments]
        running.append(processes.start(name, command, folder=instance.folder, env=env, cwd=commands.ROOT))
    campaigns = _seed(dsn)
    admin = AirflowApi(env["AIRFLOW__API__BASE_URL"], "admin", instance.secrets.login)
    _wait(admin, running)
    for entity in ("acme", OTHER):
        admin.wait_for_dag(f"send_campaign__{entity}")
    for user, role in USERS.items():
        if user != "admin":
            admin.add_user(user, password=instance.secrets.login, roles=[role])
    return AirflowServer(
        admin.url, instance.secrets.login, dsn, instance.folder, instance.secrets.webhook_secret, campaigns
    )


def _wait(admin: AirflowApi, running: list[processes.Process], *, timeout: float = 180.0) -> None:
    deadline = time.monotonic() + timeout
    while True:
        for process in running:
            process.check()
        try:
            if admin.health()["dag_processor"] == "healthy":
                return
        except HttpUnreachable:
            pass
        assert time.monotonic() < deadline, processes.tail(running[0].log)
        time.sleep(0.3)


def _entities(folder: Path) -> Path:
    """The sample entity, and a second one that has other roles."""
    sample = commands.ROOT / "include" / "entities" / "acme"
    shutil.copytree(sample, folder / "acme")
    shutil.copytree(sample, folder / OTHER)
    settings = folder / OTHER / "entity.yaml"
    settings.write_text(settings.read_text().replace("acme", OTHER))
    return folder


def _seed(dsn: str) -> dict[str, int]:
    with connect(dsn) as conn:
        mine = add_campaign(conn, name="Spring sale", outcomes=small_campaign())
        other = add_campaign(conn, entity=OTHER, name="Stripes", outcomes=many(3, state="planned"))
    for entity in ("acme", OTHER):
        refresh(entity, dsn=dsn, now=START + timedelta(hours=2))
    return {"acme": mine, OTHER: other}
