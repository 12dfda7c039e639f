"""### Reconcile the subscriptions

Turns the staged records into the consent ledger and the subscription table, in one transaction: withdrawals
before grants, the newest word of a person wins, nothing older than a withdrawal subscribes anybody again.
Unchanged people are not touched.

If a run would change more people than the entity's guard allows, it is held, and an approver finds the figures
under *Browse → Required Actions*. Approved, the run is applied; rejected, or not answered in time, nothing
changes. An engineer can also start this Dag by hand with *release* switched on. What people reply in WhatsApp
does not come this way and is never held.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException
from wiring.access import database, suppression_key
from wiring.entities import entity_dag, for_each_entity, optins, subscriptions
from wiring.errors import task_errors
from wiring.questions import APPROVE, GuardQuestion, answered_by

from include.entities import Entity, load_entity


def build(entity: Entity) -> DAG:
    with entity_dag(
        "reconcile_subscriptions",
        entity,
        doc=__doc__,
        description=f"Bring the subscriptions of {entity.settings.label} up to date with what was pulled",
        duties=("engineer",),
        schedule=[optins(entity)],
        # One may wait for its answer while others go on; the database lets one at a time do the work.
        max_active_runs=4,
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
            from include.subscriptions import Release
            from include.subscriptions import reconcile as apply

            context = get_current_context()
            run = context["dag_run"]
            by_hand = Release(by=str(getattr(run, "triggering_user_name", None) or run.run_id))
            done = apply(
                load_entity(entity),
                dsn=database(),
                key=suppression_key(),
                now=datetime.now(UTC),
                release=by_hand if context["params"]["release"] else None,
            )
            if done.state == "held" and not done.ask:
                raise AirflowFailException(
                    f"The guard holds this run: {done.guard}. An approver is being asked already, under Browse → "
                    "Required Actions."
                )
            return {
                "state": done.state,
                "rows_written": done.rows_written,
                "guard": done.guard.as_dict() if done.guard else {},
                **done.people,
            }

        @task(outlets=[subscriptions(entity)])
        @task_errors
        def release(entity: str, outcome: Any, answer: Any) -> dict[str, object]:
            """Apply the held run if it was approved; otherwise leave everything as it is, and fail with the figures."""
            from include.subscriptions import GuardFigures, Release
            from include.subscriptions import reconcile as apply

            figures = GuardFigures(**outcome["guard"])
            if answer["chosen_options"] != [APPROVE]:
                raise AirflowFailException(f"Not released: {figures}. Correct the source and pull again.")
            done = apply(
                load_entity(entity),
                dsn=database(),
                key=suppression_key(),
                now=datetime.now(UTC),
                release=Release(by=answered_by(answer), figures=figures),
            )
            if done.state == "held":
                raise AirflowFailException(
                    f"More would change by now than was approved: {done.guard}. It stays held; start this Dag again."
                )
            return {"state": done.state, "rows_written": done.rows_written, **done.people}

        outcome = reconcile(entity.name)
        question = GuardQuestion(
            task_id="ask",
            entity=entity.name,
            outcome=outcome,
            subject=f"Apply an unusual change to the opt-ins of {entity.settings.label}?",
            response_timeout=timedelta(hours=entity.settings.guard.answer_hours),
            doc_md="Ask an approver whether a run that the guard holds may go through.",
        )
        release(entity.name, outcome, question.output)
    return dag


globals().update(for_each_entity(build))
