"""### Compare the opt-ins with the sources

Once a day everything that each source holds is read and compared with our table. Differences that time explains (a
change that was not pulled yet, an opt-out on its way) are listed on the page *Opt-ins*. Two are alarms, and the task
fails with their number: somebody withdrew here and the source still says yes (it is told again at once), and somebody
withdrew there and is subscribed here. Nobody's subscription changes here.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException
from wiring.access import database
from wiring.entities import entity_dag, for_each_entity
from wiring.errors import task_errors

from include.entities import Entity, load_entity


@task(map_index_template="{{ source }}")
@task_errors
def compare_source(entity: str, source: str) -> dict[str, int]:
    """Read all of one source, list where it differs from our table, and fail if somebody's no was lost."""
    from wiring.sources import source_access

    from include.optins.sources import shows_present_state
    from include.subscriptions.compare import compare, raise_alerts

    settings = load_entity(entity)
    chosen = settings.source(source)
    if not shows_present_state(chosen):
        raise AirflowSkipException("What this source shows is not what it holds now: `compare` in its YAML.")
    with source_access(chosen) as access:
        compared = compare(settings, chosen, access, dsn=database(), now=datetime.now(UTC))
    raise_alerts(compared, entity)
    return {"records": compared.records, **compared.differences}


def build(entity: Entity) -> DAG:
    with entity_dag(
        "compare_optins",
        entity,
        doc=__doc__,
        description=f"Compare who opted in to {entity.settings.label} with what every source says",
        duties=("engineer",),
        schedule=entity.settings.schedules.compare_optins,
    ) as dag:
        compare_source.partial(entity=entity.name).expand(source=[source.name for source in entity.sources])
    return dag


globals().update(for_each_entity(build))
