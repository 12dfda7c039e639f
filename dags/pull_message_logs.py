"""### Pull the message log

Reads CM.com's own log of what was sent and received, for the last days again, and brings every message's
state up to it. Messages whose fate was uncertain are settled here; replies that no webhook brought are found
here. Safe to repeat at any time.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, task
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
    ) as dag:

        @task(outlets=[messages(entity)])
        @task_errors
        def pull_log(entity: str) -> dict[str, object]:
            """Read the log's new windows, apply every status and reply, close campaigns in which nothing is open."""
            from include.campaigns.states import settle_finished
            from include.message_log import pull

            settings = load_entity(entity)
            now = datetime.now(UTC)
            shared = [
                other
                for other in readable_entities()
                if other.name != entity and other.settings.connection == settings.settings.connection
            ]
            found = pull(
                settings,
                cm_com(settings),
                dsn=database(),
                now=now,
                shared_with=shared,
                suppression_key=suppression_key(),
            ).as_counts()
            return {**found, "settled": settle_finished(entity, dsn=database(), now=now)}

        pulled = pull_log(entity.name)
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


globals().update(for_each_entity(build))
