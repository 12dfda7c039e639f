"""The two tasks of a campaign that wait: for an approval, and for what may be sent later. Neither holds a slot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseOperator, Context

from include.entities import load_entity
from wiring.access import cm_com, daily_limit, database, read_template_states, suppression_key
from wiring.errors import task_errors

# Who approved, where the entity lets a few given recipients of a utility template go without a person.
UNASKED = "nobody (unapproved_recipients in entity.yaml)"
# A paused campaign is looked at again after a tenth of the time it has been paused, within these: each look starts a
# task for a second or two. The pause itself works at once, in the database.
PAUSE_LOOK, LONGEST_LOOK = timedelta(minutes=1), timedelta(minutes=10)


class PlanApproval(ApprovalOperator):
    """Ask a person to approve exactly one plan, with its figures and five messages as people would see them.

    The text goes into the question itself and not through an XCom, since it quotes messages.
    """

    template_fields = ("planned",)

    def __init__(self, *, entity: str, planned: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entity = entity
        self.planned = planned

    @task_errors
    def execute(self, context: Context) -> Any:
        """Write the question and wait."""
        from include.campaigns.parameters import freeze, needs_approval
        from include.campaigns.preview import as_markdown, preview

        settings = load_entity(self.entity)
        if not needs_approval(settings, freeze(settings, dict(context["params"]))):
            self.log.info(
                "given recipients of a utility template: entity.yaml asks nobody (unapproved_recipients)"
            )
            return {"chosen_options": [self.APPROVE], "responded_by_user": {"name": UNASKED}}
        hook = cm_com(settings)
        figures = preview(
            settings,
            self.planned["campaign_id"],
            dsn=database(),
            messages_per_second=context["params"]["messages_per_second"] or hook.settings.messages_per_second,
            shared_rate=hook.settings.messages_per_second,
            daily=daily_limit(hook),
            now=datetime.now(UTC),
        )
        self.body = as_markdown(figures)
        return super().execute(context)


class SendPlanned(BaseOperator):
    """Send what is planned and not yet sent, at the agreed rate; between windows, probe and retries it waits outside.

    Every try continues where the ledger stands, and repeats nothing.
    """

    template_fields = ("planned",)

    def __init__(self, *, entity: str, planned: Any, worker: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entity = entity
        self.planned = planned
        self.worker = worker

    @task_errors
    def execute(self, context: Context) -> dict[str, Any]:
        """Send until nothing is due; then end, or wait for the next moment something is."""
        from include.campaigns.sender import SendSettings, send

        settings = load_entity(self.entity)
        hook, dsn = cm_com(settings), database()
        done = send(
            settings,
            self.planned["campaign_id"],
            hook.messenger,
            SendSettings(
                worker=f"send-{self.worker}",
                messages_per_second=hook.settings.messages_per_second,
                own_rate=context["params"].get("messages_per_second") or None,
                daily=daily_limit(hook),
                link_key=suppression_key(),
                ask_templates=lambda: read_template_states(settings, hook, dsn),
            ),
            dsn=dsn,
        )
        self.log.info("worker=%s ended=%s %s", self.worker, done.ended, dict(done.counts))
        if done.ended == "waiting" and done.next_due:
            self._wait_until(done.next_due)
        if done.ended == "paused":
            from include.campaigns.states import paused_for

            now = datetime.now(UTC)
            look = paused_for(dsn=dsn, campaign_id=self.planned["campaign_id"], now=now) / 10
            self._wait_until(now + min(max(look, PAUSE_LOOK), LONGEST_LOOK))
        return {"ended": done.ended, **done.counts}

    def resume(self, context: Context, event: Any = None) -> dict[str, Any]:
        """The moment has come: go on."""
        del event
        sent: dict[str, Any] = self.execute(context)
        return sent

    def _wait_until(self, moment: datetime) -> None:
        self.log.info("waiting until %s", moment)
        # A second later, so that what is due at that moment is due by the database's clock too.
        self.defer(trigger=DateTimeTrigger(moment=moment + timedelta(seconds=1)), method_name="resume")
