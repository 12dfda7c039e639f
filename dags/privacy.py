"""### Keep personal data only as long as needed

Every night, texts of messages and replies, records that were not taken, and the rows of old campaigns are forgotten
after the entity's periods, and people who have not said yes, written or clicked for too long expire: no campaign
reaches them until they say yes again. Started by hand with a source and a record's id, it also erases the person that
record speaks of: number, attributes and texts go, a keyed hash stays so that no source brings the person back.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Param, get_current_context, task
from wiring.access import database
from wiring.entities import entity_dag, for_each_entity
from wiring.errors import task_errors

from include.entities import Entity, load_entity


@task
@task_errors
def forget(entity: str) -> dict[str, int]:
    """Blank what is older than the entity's retention periods."""
    from include.privacy import retain

    return retain(load_entity(entity), dsn=database(), now=datetime.now(UTC))


@task
@task_errors
def expire_people(entity: str) -> int:
    """Expire the yes of people who have not been heard of for too long; a newer yes lifts it."""
    from include.subscriptions import expire_inactive

    return expire_inactive(load_entity(entity), dsn=database(), now=datetime.now(UTC))


@task
@task_errors
def erase_person(entity: str) -> int:
    """Erase the person of the record that was given; without one, nobody."""
    from include.privacy import erase

    context = get_current_context()
    source, record_id = context["params"]["source"], context["params"]["record_id"]
    if not source or not record_id:
        return 0
    run = context["dag_run"]
    return erase(
        entity, source=source, record_id=record_id, actor=run.run_id, dsn=database(), now=datetime.now(UTC)
    )


def build(entity: Entity) -> DAG:
    with entity_dag(
        "privacy",
        entity,
        doc=__doc__,
        description=f"Forget what {entity.settings.label} may no longer keep; erase a person on request",
        duties=("engineer",),
        schedule=entity.settings.schedules.privacy,
        params={
            "source": Param(
                None,
                type=["string", "null"],
                enum=[None, *(source.name for source in entity.sources)],
                title="Source",
                description="To erase a person: the source that knows them.",
            ),
            "record_id": Param(
                None,
                type=["string", "null"],
                title="Record id",
                description="To erase a person: that source's own id of them, never a phone number.",
            ),
        },
    ) as dag:
        # First who was active, then the rows that tell.
        expire_people(entity.name) >> forget(entity.name)
        erase_person(entity.name)
    return dag


globals().update(for_each_entity(build))
