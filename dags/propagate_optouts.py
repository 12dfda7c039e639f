"""### Carry opt-outs back to the sources

Everybody who said no, by a reply, a button or in another system, is written back to every source that holds
the person, so that no other channel or list says yes for them. At least once, repeated until the source has
taken it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, task
from wiring.access import database
from wiring.entities import entity_dag, for_each_entity
from wiring.errors import task_errors

from include.entities import Entity, load_entity


@task(map_index_template="{{ source }}")
@task_errors
def propagate_to(entity: str, source: str) -> dict[str, int]:
    """Write the withdrawals that are due back to one source."""
    from wiring.sources import source_access

    from include.subscriptions import propagate

    settings = load_entity(entity)
    chosen = settings.source(source)
    with source_access(chosen) as access:
        return propagate(settings, chosen, access, dsn=database(), now=datetime.now(UTC))


def build(entity: Entity) -> DAG:
    with entity_dag(
        "propagate_optouts",
        entity,
        doc=__doc__,
        description=f"Write opt-outs of {entity.settings.label} back to every system that holds the person",
        duties=("engineer",),
        schedule=entity.settings.schedules.propagate_optouts,
    ) as dag:
        with_a_way_back = [
            source.name for source in entity.sources if source.optout is not None or source.kind == "inbound"
        ]
        propagate_to.partial(entity=entity.name).expand(source=with_a_way_back)
    return dag


globals().update(for_each_entity(build))
