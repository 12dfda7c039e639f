"""A small company in the database, and its campaign: what tests of planning and sending start from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cm_com.messenger import CmComMessenger
from cm_com.settings import CmComSettings, read_settings

from include.campaigns.parameters import freeze
from include.campaigns.plan import Plan, plan_campaign
from include.campaigns.sender import SendReport, SendSettings, send
from include.campaigns.states import approve
from include.campaigns.templates import sync_templates
from include.database import connect
from include.entities import Entity, load_entity
from tests.support.simulator import ACCOUNT, SENDER, TOKEN, Simulator

CONNECTION = "cm_com_acme"
LINK_KEY = b"0123456789abcdef0123456789abcdef"  # the template has a button whose clicks are counted


class FakeConnection:
    """The fields of an Airflow connection, for code that only reads them."""

    def __init__(self, simulator: Simulator, **extra: Any) -> None:
        self.conn_id = CONNECTION
        self.host = simulator.url
        self.schema = None
        self.port = None
        self.password = TOKEN
        self.extra_dejson = {
            "account_id": ACCOUNT,
            "channel_id": "channel",
            "sender": f"+{SENDER.removeprefix('00')}",
            "messages_per_second": 1000,
            **extra,
        }


def settings(simulator: Simulator, **extra: Any) -> CmComSettings:
    """The integration of the simulator."""
    return read_settings(FakeConnection(simulator, **extra))


def acme() -> Entity:
    """The sample entity as it is in the repository."""
    return load_entity("acme")


def subscribe(dsn: str, people: int, *, status: str = "subscribed", first: int = 0, **columns: Any) -> None:
    """`people` subscribed Belgians with consecutive numbers, each with the grant that allows it."""
    columns = {"language": "nl", "country": "BE", "attributes": '{"first_name": "Jan"}', **columns}
    names, values = ", ".join(columns), ", ".join(f"%({name})s" for name in columns)
    with connect(dsn) as conn:
        conn.execute(
            f"""
            with new as (
                insert into subscription (entity, phone, match_key, status, status_at, {names})
                select 'acme', '+324700' || to_char(n, 'FM99900000'), '+324700' || to_char(n, 'FM99900000'),
                       %(status)s, now(), {values}
                from generate_series(%(first)s + 1, %(first)s + %(people)s) n
                returning id
            ), granted as (
                insert into consent_event (subscription_id, action, occurred_at, source, source_record_id,
                                           collection_point, method, wording_id, wording_language)
                select id, 'grant', now(), 'webshop', 'r' || id, 'checkout', 'checkbox', 'signup-2026-01', 'en'
                from new returning id, subscription_id
            )
            select count(*) from granted
            """,  # noqa: S608 - names of the tests' own
            {"people": people, "status": status, "first": first, **columns},
        )
        conn.execute(
            "update subscription s set consent_event_id = e.id from consent_event e "
            "where e.subscription_id = s.id and s.consent_event_id is null"
        )


def approve_templates(dsn: str, entity: Entity) -> None:
    """All of the entity's templates are approved."""
    sync_templates(entity, None, dsn=dsn, now=datetime.now(UTC))


def register_templates(simulator: Simulator, entity: Entity) -> None:
    """The simulator knows the entity's templates."""
    for template in entity.templates:
        for language, text in template.languages.items():
            simulator.template(
                namespace=template.namespace,
                element_name=template.name,
                language=language,
                category=template.category.upper(),
                body_variables=len(template.variables),
                buttons=[
                    {"type": button.type, "text": button.text, "variable": button.target is not None}
                    for button in text.buttons
                ],
                status="APPROVED",
            )


def planned(dsn: str, entity: Entity, *, run_key: str = "run-1", **choices: Any) -> Plan:
    """A planned campaign of the spring sale."""
    # The same choices twice within a day are taken for a second start of the same campaign.
    name = "Spring" if run_key == "run-1" else f"Spring {run_key}"
    raw = {"name": name, "template": "spring_sale", "dry_run": False, **choices}
    return plan_campaign(
        entity,
        freeze(entity, raw),
        dsn=dsn,
        run_key=run_key,
        connection_id=CONNECTION,
        now=datetime.now(UTC),
    )


def approved(dsn: str, entity: Entity, **choices: Any) -> Plan:
    """A campaign that may be sent."""
    plan = planned(dsn, entity, **choices)
    approve(
        dsn=dsn,
        campaign_id=plan.campaign_id,
        plan_hash=plan.plan_hash,
        approved_by="tests",
        now=datetime.now(UTC),
    )
    return plan


def run(
    dsn: str,
    campaign_id: int,
    simulator: Simulator,
    *,
    worker: str = "send-0",
    rate: int = 1000,
    **options: Any,
) -> SendReport:
    """Send a campaign of the sample entity by one worker, as its task does."""
    chosen = SendSettings(worker=worker, messages_per_second=rate, link_key=LINK_KEY, **options)
    return send(acme(), campaign_id, lambda: CmComMessenger(settings(simulator)), chosen, dsn=dsn)


def states(dsn: str, campaign_id: int) -> dict[str, int]:
    """Ledger rows by state."""
    with connect(dsn) as conn:
        rows = conn.execute(
            "select state, count(*) as n from campaign_message where campaign_id = %s group by state",
            (campaign_id,),
        ).fetchall()
    return {row["state"]: row["n"] for row in rows}
