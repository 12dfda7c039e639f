"""### Reconcile the subscriptions

Turns the staged records into the consent ledger and the subscription table, in one transaction: withdrawals
before grants, the newest word of a person wins, nothing older than a withdrawal subscribes anybody again.
Unchanged people are not touched.

If a run would change more people than the entity's guard allows, it is held with the figures. An engineer who
has looked at them starts this Dag by hand with *release* switched on.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException
from wiring.access import database, suppression_key
from wiring.entities import entity_dag, for_each_entity, optins, subscriptions
from wiring.errors import task_errors

from include.entities import Entity, load_entity


def build(entity: Entity) -> DAG:
    with entity_dag(
        "reconcile_subscriptions",
        entity,
        doc=__doc__,
        description=f"Bring the subscriptions of {entity.settings.label} up to date with what was pulled",
        duties=("engineer",),
        schedule=[optins(entity)],
        params={
            "release": Param(
                default=False,
                type="boolean",
                title="Release what the guard holds",
                description="Apply the held run although it changes more people than the guard allows.",
            )
        },
    ) as dag:

        @task(outlets=[subscriptions(entity)])
        @task_errors
        def reconcile(entity: str) -> dict[str, object]:
            """Apply every staged record to the consent ledger and the subscription table."""
            from include.subscriptions import reconcile as apply

            release = bool(get_current_context()["params"]["release"])
            done = apply(
                load_entity(entity),
                dsn=database(),
                key=suppression_key(),
                now=datetime.now(UTC),
                release=release,
            )
            if done.state == "held":
                raise AirflowFailException(
                    f"The guard holds this run: {done.guard}. Look at the figures; if they are right, start this "
                    "Dag with `release` switched on."
                )
            return {"state": done.state, "rows_written": done.rows_written, **done.people}

        reconcile(entity.name)
    return dag


globals().update(for_each_entity(build))
