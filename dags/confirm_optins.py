"""### Ask people to confirm their opt-in

For sources with double opt-in: whoever said yes there is *pending* and gets one message that asks whether they meant
it. An answer by its button, a plain yes or a START word subscribes them; without one the yes expires. Nobody is asked
twice for one yes, however often this runs, is cleared or killed. No campaign reaches them before they have confirmed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from wiring.access import database, read_template_states
from wiring.campaign import SendPlanned
from wiring.entities import entity_dag, messages, readable_entities, subscriptions
from wiring.errors import task_errors

from include.entities import Entity, load_entity


def build(entity: Entity) -> DAG:
    with entity_dag(
        "confirm_optins",
        entity,
        doc=__doc__,
        description=f"Ask who opted in to {entity.settings.label} on a form whether they meant it",
        duties=("engineer",),
        schedule=entity.settings.schedules.confirm_optins,
    ) as dag:

        @task(outlets=[subscriptions(entity)])
        @task_errors
        def expire(entity: str) -> int:
            """Expire what nobody has confirmed in time."""
            from include.subscriptions import expire_unconfirmed

            return expire_unconfirmed(load_entity(entity), dsn=database(), now=datetime.now(UTC))

        @task
        @task_errors
        def plan(entity: str) -> dict[str, int]:
            """Write whoever is to be asked into the ledger; entity.yaml is the approval."""
            from include.campaigns.confirm import plan_confirmations

            context = get_current_context()
            settings = load_entity(entity)
            planned = plan_confirmations(
                settings,
                dsn=database(),
                run_key=f"{context['dag'].dag_id}/{context['dag_run'].run_id}",
                now=datetime.now(UTC),
                ask_templates=lambda: read_template_states(settings),
            )
            if planned is None:
                raise AirflowSkipException("Nobody has to be asked.")
            return {"campaign_id": planned.campaign_id, "planned": planned.planned}

        @task(outlets=[messages(entity)], trigger_rule="none_skipped", retries=20)
        @task_errors
        def settle(entity: str, planned: Any) -> dict[str, object]:
            """Close what is over by the ledger and refresh the report; fail if messages have not left."""
            from include.campaigns.settle import settle as close
            from include.reports import refresh

            if planned is None:
                raise AirflowFailException("Nothing was planned: see the log of the task `plan`.")
            now = datetime.now(UTC)
            settled = close(planned["campaign_id"], dsn=database(), now=now)
            refresh(entity, dsn=database(), now=now)
            if settled.open:
                raise AirflowFailException(f"{settled.open} message(s) have not left: see the task `send`.")
            return {"state": settled.state, "uncertain": settled.uncertain}

        planned = plan(entity.name)
        send = SendPlanned(
            task_id="send",
            entity=entity.name,
            planned=planned,
            worker=0,
            retries=20,
            retry_delay=timedelta(seconds=10),
            max_retry_delay=timedelta(minutes=5),
            doc_md="Send what is planned and not yet sent, at the connection's rate.",
        )
        expire(entity.name) >> planned >> send >> settle(entity.name, planned)
    return dag


for found in readable_entities():
    if found.settings.double_opt_in is not None:
        built = build(found)
        globals()[built.dag_id] = built
