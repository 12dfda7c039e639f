"""Ask people to confirm their yes (double opt-in): a campaign like any other, to those who are pending and nobody else.

So a confirmation is planned, paced, sent at most once, settled and reported as every message is; what is different is
whom it may go to, and that entity.yaml is its approval.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from psycopg import sql

from include.campaigns.audience import to_confirm
from include.campaigns.parameters import freeze
from include.campaigns.plan import SQL, Plan, plan_campaign
from include.campaigns.states import approve
from include.database import connect, require_current
from include.entities import Entity

APPROVED_BY = "double_opt_in in entity.yaml"
NAME = "Confirm opt-ins"


def plan_confirmations(
    entity: Entity,
    *,
    dsn: str,
    run_key: str,
    now: datetime,
    ask_templates: Callable[[], object] = lambda: None,
) -> Plan | None:
    """Plan and approve the question to everybody who has a yes to confirm and was not asked; None when there is nobody.

    The same `run_key` again is the same campaign. `ask_templates` brings the store's record of the templates up to
    date, once somebody is found. Raises what it and planning raise.
    """
    choice = entity.settings.double_opt_in
    if choice is None:
        return None
    with connect(dsn, application="whatsapp confirmations") as conn:
        require_current(conn)
        if SQL.campaign_of_run(conn, entity=entity.name, run_key=run_key) is None:
            query = sql.SQL(
                "select exists (select from subscription s where s.entity = %(entity)s and {}) as found"
            )
            row = conn.execute(
                query.format(to_confirm(entity)), {"entity": entity.name, "now": now}
            ).fetchone()
            if row is None or not row["found"]:
                return None
    ask_templates()
    raw = {"name": NAME, "template": choice.template, "dry_run": False, "workers": 1}
    plan = plan_campaign(
        entity,
        freeze(entity, raw),
        dsn=dsn,
        run_key=run_key,
        connection_id=entity.settings.connection,
        now=now,
        confirms=True,
    )
    approve(dsn=dsn, campaign_id=plan.campaign_id, plan_hash=plan.plan_hash, approved_by=APPROVED_BY, now=now)
    return plan
