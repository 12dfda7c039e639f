"""### Send a campaign

Fill in the form and start. The audience is planned first: everybody who matches, and for everybody who will
not get the message the reason. Then an approver sees the figures and approves exactly that plan; without
approval nothing is sent. Everyone planned gets the message once, however often tasks are retried, cleared or
started twice.

*Dry run* (on unless you switch it off) stops after the plan: nothing is sent, and the figures are kept in the
report.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, get_current_context, task
from wiring.access import cm_com, database
from wiring.entities import entity_dag, for_each_entity, messages
from wiring.errors import task_errors

from include.entities import Entity, load_entity


@task
@task_errors
def plan(entity: str) -> dict[str, object]:
    """Write the audience into the ledger, with the reason for everybody who is left out."""
    from include.campaigns.parameters import freeze
    from include.campaigns.plan import plan_campaign

    context = get_current_context()
    settings = load_entity(entity)
    planned = plan_campaign(
        settings,
        freeze(settings, dict(context["params"])),
        dsn=database(),
        run_key=context["dag_run"].run_id,
        connection_id=settings.settings.connection,
        now=datetime.now(UTC),
    )
    return {"campaign_id": planned.campaign_id, "plan_hash": planned.plan_hash, "planned": planned.planned}


@task
@task_errors
def preview(entity: str, planned: dict[str, object]) -> str:
    """Say in figures what would be sent, to whom not and why, at what cost and by when."""
    from include.campaigns.preview import as_markdown
    from include.campaigns.preview import preview as look

    settings = load_entity(entity)
    rate = (
        get_current_context()["params"]["messages_per_second"]
        or cm_com(settings).settings.messages_per_second
    )
    figures = look(
        settings,
        int(str(planned["campaign_id"])),
        dsn=database(),
        messages_per_second=rate,
        now=datetime.now(UTC),
    )
    return as_markdown(figures)


@task.short_circuit(ignore_downstream_trigger_rules=False)
def is_for_real() -> bool:
    """Go on only when this is no dry run."""
    return not get_current_context()["params"]["dry_run"]


@task
@task_errors
def workers(planned: dict[str, object], answer: dict[str, object]) -> list[int]:
    """Record who approved which plan, and share the sending among workers."""
    from include.campaigns.states import approve as record

    user = answer.get("responded_by_user") or {}
    record(
        dsn=database(),
        campaign_id=int(str(planned["campaign_id"])),
        plan_hash=str(planned["plan_hash"]),
        approved_by=str(user.get("name") or user.get("id") or "unknown")
        if isinstance(user, dict)
        else str(user),
        now=datetime.now(UTC),
    )
    return list(range(get_current_context()["params"]["workers"]))


@task(retries=20, retry_delay=timedelta(seconds=10), max_retry_delay=timedelta(minutes=5))
@task_errors
def send(entity: str, planned: dict[str, object], worker: int) -> dict[str, object]:
    """Send what is planned and not yet sent, at the agreed rate."""
    from include.campaigns.sender import SendSettings
    from include.campaigns.sender import send as send_planned

    context = get_current_context()
    settings = load_entity(entity)
    hook = cm_com(settings)
    rate = context["params"]["messages_per_second"] or hook.settings.messages_per_second
    done = send_planned(
        settings,
        int(str(planned["campaign_id"])),
        hook.messenger,
        SendSettings(worker=f"send-{worker}", messages_per_second=rate),
        dsn=database(),
    )
    return {"ended": done.ended, **done.counts}


def build(entity: Entity) -> DAG:
    templates = [template.name for template in entity.templates]
    segments = ["everyone", *(segment.name for segment in entity.segments)]
    with entity_dag(
        "send_campaign",
        entity,
        doc=__doc__,
        description=f"Send a WhatsApp campaign of {entity.settings.label}: plan, approval, sending, report",
        duties=("marketer", "engineer"),
        schedule=None,
        max_active_runs=8,
        params={
            "name": Param(
                "",
                type="string",
                minLength=1,
                maxLength=80,
                title="Name",
                description="How the report calls this campaign.",
            ),
            "template": Param(
                templates[0] if templates else "",
                type="string",
                enum=templates or [""],
                title="Template",
                description="The approved message. Its variables come from the entity's template file.",
            ),
            "segment": Param(
                "everyone",
                type="string",
                enum=segments,
                title="Segment",
                description="Who, among the people who opted in. Segments are files of the entity.",
            ),
            "dry_run": Param(
                default=True,
                type="boolean",
                title="Dry run",
                description="Plan and show the figures, send nothing. Switch off to send after approval.",
            ),
            "holdout_percent": Param(
                0,
                type="number",
                minimum=0,
                maximum=50,
                title="Holdout (%)",
                description="Share of the audience that gets nothing, to measure what the campaign brings.",
            ),
            "messages_per_second": Param(
                None,
                type=["integer", "null"],
                minimum=1,
                maximum=1000,
                title="Messages per second",
                description="Leave empty for the integration's own rate.",
            ),
            "workers": Param(
                2,
                type="integer",
                minimum=1,
                maximum=4,
                title="Workers",
                description="Sending tasks side by side.",
            ),
        },
    ) as dag:
        planned = plan(entity.name)
        figures = preview(entity.name, planned)
        approve = ApprovalOperator(
            task_id="approve",
            subject=f"Send a WhatsApp campaign of {entity.settings.label}?",
            body="{{ ti.xcom_pull(task_ids='preview') }}",
            defaults="Reject",
            response_timeout=timedelta(days=1),
            # Asked again, not refused, when an answer comes so soon that Airflow takes the question's process
            # for lost ("state mismatch": Airflow 3.3.2 with LocalExecutor on a busy machine, 2026-11-22).
            retries=3,
            retry_delay=timedelta(seconds=5),
        )
        sending = send.partial(entity=entity.name, planned=planned).expand(
            worker=workers(planned, approve.output)
        )

        @task(
            outlets=[messages(entity)], trigger_rule="all_done", retries=20, retry_delay=timedelta(seconds=30)
        )
        @task_errors
        def settle(entity: str, planned: dict[str, object] | None) -> dict[str, object]:
            """Close what is over by the ledger, and refresh this campaign's report."""
            from include.campaigns.settle import settle as close
            from include.reports import refresh

            if planned is None:
                return {"state": "not_planned"}
            now, dry_run = datetime.now(UTC), bool(get_current_context()["params"]["dry_run"])
            settled = close(int(str(planned["campaign_id"])), dsn=database(), now=now, dry_run=dry_run)
            refresh(entity, dsn=database(), now=now)
            return {"state": settled.state, "open": settled.open, "uncertain": settled.uncertain}

        figures >> is_for_real() >> approve
        sending >> settle(entity.name, planned)
    return dag


globals().update(for_each_entity(build))
