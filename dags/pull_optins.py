"""### Pull the opt-ins

Reads every source of the entity (what changed since the last time) and puts the records aside for
reconciling: numbers in one form, consent as yes or no, and a reason for every record that cannot be taken.
Nobody's subscription changes here.

Runs on the entity's schedule; safe to repeat at any time. *Read everything again* reads from the beginning.
Affects nobody until `reconcile_subscriptions` has run.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Param, get_current_context, task
from wiring.access import database
from wiring.entities import entity_dag, for_each_entity, optins
from wiring.errors import task_errors

from include.entities import Entity, load_entity


@task(map_index_template="{{ source }}")
@task_errors
def pull_source(entity: str, source: str) -> dict[str, int]:
    """Read one source since its last watermark and stage what it says."""
    from wiring.sources import source_access

    from include.optins import Opener, pull

    context = get_current_context()
    settings = load_entity(entity)
    chosen = settings.source(source)
    done = pull(
        settings,
        chosen,
        Opener(lambda: source_access(chosen)),
        dsn=database(),
        run_key=context["dag_run"].run_id,
        now=datetime.now(UTC),
        whole=bool(context["params"]["whole"]),
    )
    return {"pulled": done.pulled, "staged": done.staged, "rejected": done.rejected}


def build(entity: Entity) -> DAG:
    with entity_dag(
        "pull_optins",
        entity,
        doc=__doc__,
        description=f"Read who opted in or out of {entity.settings.label} on WhatsApp, from every source",
        duties=("engineer",),
        schedule=entity.settings.schedules.pull_optins,
        params={
            "whole": Param(
                default=False,
                type="boolean",
                title="Read everything again",
                description="From the beginning and every file, instead of what changed since the last time. "
                "What is known already changes nothing.",
            )
        },
    ) as dag:

        @task(outlets=[optins(entity)], trigger_rule="all_done")
        def announce(entity: str) -> None:
            """Tell the reconciliation that records are waiting, from the sources that could be read."""

        @task(trigger_rule="none_failed")
        def every_source_was_read() -> None:
            """Count the run as failed when a source could not be read; the others' records have gone on."""

        sources = [source.name for source in entity.sources]
        pulled = pull_source.partial(entity=entity.name).expand(source=sources)
        pulled >> [announce(entity.name), every_source_was_read()]
    return dag


globals().update(for_each_entity(build))
