"""### Synchronise the templates

Asks CM.com for the state of every message template the entity uses. Only an approved template can be sent;
one that Meta has paused, rejected or disabled is not chosen for anybody until it is approved again.
"""

from __future__ import annotations

from airflow.sdk import DAG, task
from wiring.access import read_template_states
from wiring.entities import entity_dag, for_each_entity
from wiring.errors import task_errors

from include.entities import Entity, load_entity


@task
@task_errors
def sync(entity: str) -> dict[str, int]:
    """Record what CM.com says of each template and language."""
    return read_template_states(load_entity(entity))


def build(entity: Entity) -> DAG:
    with entity_dag(
        "sync_templates",
        entity,
        doc=__doc__,
        description=f"Ask CM.com which message templates of {entity.settings.label} may be sent",
        duties=("engineer", "marketer"),
        schedule=entity.settings.schedules.sync_templates,
    ) as dag:
        sync(entity.name)
    return dag


globals().update(for_each_entity(build))
