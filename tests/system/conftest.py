"""A company whose Dags are walked through: the session's PostgreSQL and API server, and everything else of its own."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.entities import load_entity
from include.local import airflow as airflows
from include.local import processes
from include.local.instance import take_instance
from include.local.postgres import Postgres
from include.local.roles import custom_roles
from include.local.systems import plan_systems, start_systems
from tests.support.airflow import OTHER, AirflowServer
from tests.system.walker import Company, Walker, walk_environment

PEOPLE, SEED = 300, 7


@pytest.fixture(scope="session")
def company(postgres: Postgres, migrated_template: str, airflow_server: AirflowServer) -> Iterator[Company]:
    """Sources with 300 people, nothing pulled yet. The walks share the API server's metadata database, so that people
    answer approvals through its REST API.
    """
    folder = Path(tempfile.mkdtemp(prefix="whatsapp-walks-"))
    entities = airflow_server.folder / "entities"
    entity = load_entity("acme", entities)
    running: list[processes.Process] = []
    walker = None
    try:
        with take_instance(folder) as instance:
            postgres.create_database("whatsapp", template=migrated_template)
            systems = plan_systems(instance, postgres, entity, people=PEOPLE, seed=SEED)
            env = airflows.environment(
                instance, postgres, entity=entity, port=processes.free_port(), connections=systems.connections
            )
            env["AIRFLOW__FAB__CUSTOM_ROLES"] = json.dumps(
                custom_roles(entity) | custom_roles(load_entity(OTHER, entities))
            )
            env = walk_environment(env, airflow_server)
            start_systems(systems, instance, postgres, entity, env, running, fill=True)
            _add_users(airflow_server)
            walker = Walker(env)
            yield Company(
                walker,
                airflow_server,
                instance,
                systems,
                metadata=postgres.dsn("airflow"),
                dsn=postgres.dsn("whatsapp"),
                webshop=postgres.dsn("webshop"),
            )
    finally:
        if walker is not None:
            walker.close()
        processes.stop_all(running)
        for database in ("whatsapp", "webshop"):
            postgres.drop_database(database)
        shutil.rmtree(folder, ignore_errors=True)


def _add_users(server: AirflowServer) -> None:
    """An approver of acme; and somebody with every role of the other entity and none of this one."""
    admin = server.api("admin")
    admin.add_user("approver", password=server.password, roles=["acme_approver"])
    duties = ("engineer", "marketer", "approver", "analyst")
    admin.add_user("stripes", password=server.password, roles=[f"{OTHER}_{duty}" for duty in duties])
