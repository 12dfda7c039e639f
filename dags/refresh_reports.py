"""### Refresh the reports

Counts the ledger's rows anew for every campaign that changed, into the small tables the report pages and
exports read.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, task
from wiring.access import database
from wiring.entities import entity_dag, for_each_entity, messages
from wiring.errors import task_errors

from include.entities import Entity


@task
@task_errors
def refresh(entity: str) -> dict[str, object]:
    """Roll up the campaigns that changed since the last time."""
    from include.reports import refresh as roll_up

    return roll_up(entity, dsn=database(), now=datetime.now(UTC))


def build(entity: Entity) -> DAG:
    cron = entity.settings.schedules.refresh_reports
    changed = [messages(entity)]
    schedule = (
        AssetOrTimeSchedule(timetable=CronTriggerTimetable(cron, timezone="UTC"), assets=changed)
        if cron
        else changed
    )
    with entity_dag(
        "refresh_reports",
        entity,
        doc=__doc__,
        description=f"Count anew what the report pages of {entity.settings.label} show",
        duties=("engineer", "marketer", "analyst"),
        schedule=schedule,
    ) as dag:
        refresh(entity.name)
    return dag


globals().update(for_each_entity(build))
