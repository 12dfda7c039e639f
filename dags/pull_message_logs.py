"""### Pull the message log

Reads CM.com's own log of what was sent and received, for the last days again, and brings every message's
state up to it. Messages whose fate was uncertain are settled here; replies that no webhook brought are found
here. Then each of the last days is compared with our own books: the page *Message log* lists the differences.

Started by hand with *From* and *To*, it reads those days again instead. Safe to repeat at any time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException
from wiring.access import cm_com, database, suppression_key
from wiring.entities import entity_dag, for_each_entity, messages, readable_entities
from wiring.errors import task_errors
from wiring.forwards import forwarders

from include.entities import Entity, load_entity


def build(entity: Entity) -> DAG:
    with entity_dag(
        "pull_message_logs",
        entity,
        doc=__doc__,
        description=f"Fetch from CM.com's log what became of {entity.settings.label}'s messages",
        duties=("engineer", "marketer"),
        schedule=entity.settings.schedules.pull_message_logs,
        params={
            "from": Param(
                None,
                type=["string", "null"],
                format="date",
                title="From",
                description="To read days again: the first one (UTC).",
            ),
            "to": Param(
                None,
                type=["string", "null"],
                format="date",
                title="To",
                description="The last one; when left out, today.",
            ),
        },
    ) as dag:

        @task(outlets=[messages(entity)])
        @task_errors
        def pull_log(entity: str) -> dict[str, object]:
            """Read the log's new windows, apply every status and reply, close campaigns in which nothing is open."""
            from include.campaigns.states import settle_finished
            from include.message_log import backfill, pull

            settings = load_entity(entity)
            now = datetime.now(UTC)
            days = _days(now)
            shared = [
                other
                for other in readable_entities()
                if other.name != entity and other.settings.connection == settings.settings.connection
            ]
            read = partial(backfill, start=days[0], end=days[1]) if days else pull
            found = read(
                settings,
                cm_com(settings),
                dsn=database(),
                now=now,
                shared_with=shared,
                suppression_key=suppression_key(),
            ).as_counts()
            return {**found, "settled": settle_finished(entity, dsn=database(), now=now)}

        @task(trigger_rule="all_done")
        @task_errors
        def compare_days(entity: str) -> list[dict[str, object]]:
            """Compare the last days with the log, where that is due; the differences are on the page."""
            from include.message_log import compare_due_days

            found = compare_due_days(entity, dsn=database(), now=datetime.now(UTC))
            return [
                {"day": f"{each.day}", "accepted": each.accepted, "differences": each.differences}
                for each in found
            ]

        pulled = pull_log(entity.name)
        pulled >> compare_days(entity.name)
        if any((entity.settings.answers.stop, entity.settings.answers.start, entity.settings.answers.help)):

            @task(trigger_rule="all_done")
            @task_errors
            def answer_people(entity: str) -> dict[str, int]:
                """Send the entity's one answer to who said STOP, START or asked for help; nothing is sent twice."""
                from include.inbound.answering import answer_due

                settings = load_entity(entity)
                hook = cm_com(settings)
                return dict(
                    answer_due(
                        settings,
                        hook.messenger,
                        dsn=database(),
                        messages_per_second=hook.settings.messages_per_second,
                        now=datetime.now(UTC),
                    )
                )

            pulled >> answer_people(entity.name)
        if entity.settings.keep_media:

            @task(trigger_rule="all_done")
            @task_errors
            def keep_media(entity: str) -> dict[str, int]:
                """Copy what people sent into the entity's folder; delete there what has been kept long enough."""
                from airflow.sdk import Connection
                from cm_com.wire.messages import TOKEN_HEADER
                from wiring.folders import folder

                from include.inbound.media import keep_due

                settings = load_entity(entity)
                kept = settings.settings.keep_media
                if kept is None:
                    return {}
                return dict(
                    keep_due(
                        settings,
                        folder(Connection.get(kept.connection)),
                        dsn=database(),
                        now=datetime.now(UTC),
                        headers={TOKEN_HEADER: cm_com(settings).settings.token},
                    )
                )

            pulled >> keep_media(entity.name)
        if entity.settings.forwards:

            @task(trigger_rule="all_done")
            @task_errors
            def forward_replies(entity: str) -> dict[str, int]:
                """Send replies on to the entity's e-mail addresses and URLs; what fails is tried again later."""
                from include.inbound import forward_due

                settings = load_entity(entity)
                return dict(
                    forward_due(settings, forwarders(settings), dsn=database(), now=datetime.now(UTC))
                )

            pulled >> forward_replies(entity.name)
    return dag


def _days(now: datetime) -> tuple[datetime, datetime] | None:
    """The span asked for in the form, its last day included; None for the regular pull."""
    params = get_current_context()["params"]
    first, last = params["from"], params["to"]
    if not first:
        if last:
            raise AirflowFailException("Fill in From as well: To alone says nothing. Nothing was read.")
        return None
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    end = datetime.fromisoformat(last).replace(tzinfo=UTC) + timedelta(days=1) if last else now
    if start >= min(end, now):
        raise AirflowFailException("From must lie before To and before today's end. Nothing was read.")
    return start, end


globals().update(for_each_entity(build))
