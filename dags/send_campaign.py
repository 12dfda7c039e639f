"""### Send a campaign

Fill in the form and start. The audience is planned first: everybody who matches, and for everybody who will
not get the message the reason. Then an approver sees the figures and five messages, and approves exactly that
plan; without approval nothing is sent. Everyone planned gets the message once, however often tasks are retried,
cleared or started twice.

*Dry run* (on unless you switch it off) stops after the plan: nothing is sent, and the figures are kept in the
report. While a campaign waits (for an approval, a sending window, the probe's verdict, or somebody to look at why
it paused) it holds no worker.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException
from wiring.access import cm_com, database, read_template_states, suppression_key
from wiring.campaign import PlanApproval, SendPlanned
from wiring.entities import entity_dag, messages, readable_entities
from wiring.errors import task_errors
from wiring.form import campaign_form
from wiring.questions import answered_by

from include.entities import CampaignDefinition, Entity, load_entity


@task
@task_errors
def plan(entity: str, *, repeats: bool) -> dict[str, object]:
    """Write the audience into the ledger, with the reason for everybody who is left out."""
    from include.campaigns.parameters import freeze
    from include.campaigns.plan import plan_campaign

    context = get_current_context()
    settings = load_entity(entity)
    chosen = freeze(settings, dict(context["params"]))
    read_template_states(settings)
    planned = plan_campaign(
        settings,
        chosen,
        dsn=database(),
        run_key=f"{context['dag'].dag_id}/{context['dag_run'].run_id}",
        connection_id=settings.settings.connection,
        now=datetime.now(UTC),
        repeats=repeats,
    )
    return {
        "campaign_id": planned.campaign_id,
        "plan_hash": planned.plan_hash,
        "target": planned.target,
        "planned": planned.planned,
        "excluded": planned.excluded,
    }


@task.short_circuit(ignore_downstream_trigger_rules=False)
def is_for_real() -> bool:
    """Go on only when this is no dry run."""
    return not get_current_context()["params"]["dry_run"]


@task
@task_errors
def send_test(entity: str) -> dict[str, object]:
    """Send the real message to the test people, when the form asks for it."""
    from include.campaigns.parameters import freeze
    from include.campaigns.rehearsal import rehearse

    context = get_current_context()
    if not context["params"]["test_first"]:
        return {"sent": 0}
    settings = load_entity(entity)
    hook = cm_com(settings)
    sent = rehearse(
        settings,
        freeze(settings, dict(context["params"])),
        hook.messenger,
        run_key=f"{context['dag'].dag_id}/{context['dag_run'].run_id}/test",
        messages_per_second=hook.settings.messages_per_second,
        dsn=database(),
        now=datetime.now(UTC),
        link_key=suppression_key(),
    )
    return {"sent": sent}


@task
@task_errors
def workers(planned: Any, answer: Any) -> list[int]:
    """Record who approved which plan, and share the sending among workers."""
    from include.campaigns.states import approve as record

    record(
        dsn=database(),
        campaign_id=planned["campaign_id"],
        plan_hash=planned["plan_hash"],
        approved_by=answered_by(answer),
        now=datetime.now(UTC),
    )
    return list(range(get_current_context()["params"]["workers"]))


def build(entity: Entity, definition: CampaignDefinition | None = None) -> DAG:
    """The Dag of the form, or of one campaign that has a file and a schedule."""
    label = entity.settings.label
    what = f"the campaign “{definition.name}”" if definition else "a WhatsApp campaign"
    with entity_dag(
        f"send_{definition.name}" if definition else "send_campaign",
        entity,
        doc=__doc__,
        description=f"Send {what} of {label}: plan, approval, sending, report",
        duties=("marketer", "engineer"),
        schedule=definition.schedule if definition else None,
        max_active_runs=8,
        params=campaign_form(entity, definition),
    ) as dag:
        planned = plan(entity.name, repeats=definition is not None)
        approve = PlanApproval(
            task_id="approve",
            entity=entity.name,
            planned=planned,
            subject=f"Send {what} of {label}?",
            defaults="Reject",
            response_timeout=timedelta(days=1),
            # Asked again, not refused, when an answer comes so soon that Airflow takes the question's process
            # for lost ("state mismatch": Airflow 3.3.2 with LocalExecutor on a busy machine, 2026-11-22).
            retries=3,
            retry_delay=timedelta(seconds=5),
        )
        send = SendPlanned.partial(
            task_id="send",
            entity=entity.name,
            planned=planned,
            retries=20,
            retry_delay=timedelta(seconds=10),
            max_retry_delay=timedelta(minutes=5),
            doc_md="Send what is planned and not yet sent, at the agreed rate.",
        ).expand(worker=workers(planned, approve.output))

        @task(
            outlets=[messages(entity)], trigger_rule="all_done", retries=20, retry_delay=timedelta(seconds=30)
        )
        @task_errors
        def settle(entity: str, planned: Any) -> dict[str, object]:
            """Close what is over by the ledger and refresh this campaign's report; fail if messages have not left."""
            from include.campaigns.settle import settle as close
            from include.reports import refresh

            # The last task alone decides whether the run counts as failed.
            if planned is None:
                raise AirflowFailException(
                    "Nothing was planned and nothing sent: see the log of the task `plan`."
                )
            now, dry_run = datetime.now(UTC), bool(get_current_context()["params"]["dry_run"])
            settled = close(planned["campaign_id"], dsn=database(), now=now, dry_run=dry_run)
            refresh(entity, dsn=database(), now=now)
            if settled.open and settled.state in ("approved", "sending"):
                raise AirflowFailException(
                    f"{settled.open} message(s) have not left: see the log of the task `send`, then clear it to go on."
                )
            return {"state": settled.state, "open": settled.open, "uncertain": settled.uncertain}

        planned >> is_for_real() >> send_test(entity.name) >> approve
        send >> settle(entity.name, planned)
    return dag


for found in readable_entities():
    for campaign in [None, *(item for item in found.campaigns if item.schedule)]:
        built = build(found, campaign)
        globals()[built.dag_id] = built
