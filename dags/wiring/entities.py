"""Entities as Dags: one Dag per entity and verb, with the same manners."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset

from include.entities import Entity, EntityProblems, entity_names, load_entity

RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=20), "retry_exponential_backoff": True}


def readable_entities() -> list[Entity]:
    """Every entity whose files are right. The others are the import error of check_entities.py, and theirs
    alone.
    """
    entities = []
    for name in entity_names():
        try:
            entities.append(load_entity(name))
        except EntityProblems:
            continue
    return entities


def entity_dag(
    verb: str,
    entity: Entity,
    *,
    doc: str | None,
    description: str,
    duties: tuple[str, ...],
    schedule: Any,
    **options: Any,
) -> DAG:
    """The Dag `<verb>__<entity>`: never two runs at once, no catch-up, open to the entity's own roles.

    `duties` may start it; every role of the entity may look at it.
    """
    options.setdefault("max_active_runs", 1)
    return DAG(
        dag_id=f"{verb}__{entity.name}",
        description=description,
        doc_md=doc,
        schedule=schedule,
        catchup=False,
        tags=["whatsapp", entity.name],
        default_args={"owner": entity.name, **RETRIES},
        access_control=_access(entity, duties),
        **options,
    )


def optins(entity: Entity) -> Asset:
    """Updated when opt-ins were staged."""
    return Asset(name=f"whatsapp_optins_{entity.name}", uri=f"whatsapp://{entity.name}/optins")


def subscriptions(entity: Entity) -> Asset:
    """Updated when the subscription table changed."""
    return Asset(name=f"whatsapp_subscriptions_{entity.name}", uri=f"whatsapp://{entity.name}/subscriptions")


def messages(entity: Entity) -> Asset:
    """Updated when messages were sent or their states changed."""
    return Asset(name=f"whatsapp_messages_{entity.name}", uri=f"whatsapp://{entity.name}/messages")


def for_each_entity(build: Callable[[Entity], DAG]) -> dict[str, DAG]:
    """Dags by id, to be put into a Dag file's globals."""
    dags = [build(entity) for entity in readable_entities()]
    return {dag.dag_id: dag for dag in dags}


def _access(entity: Entity, duties: tuple[str, ...]) -> dict[str, dict[str, set[str]]]:
    access: dict[str, dict[str, set[str]]] = {}
    for duty, role in entity.settings.roles.model_dump().items():
        if not role:
            continue
        may = access.setdefault(role, {"DAGs": set(), "DAG Runs": set()})
        may["DAGs"] |= {"can_read"}
        may["DAG Runs"] |= {"can_read"}
        if duty in duties:
            may["DAGs"] |= {"can_edit"}
            may["DAG Runs"] |= {"can_create"}
        if duty == "approver":
            may["DAGs"] |= {"can_edit"}
    return access
