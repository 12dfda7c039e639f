"""Plan a campaign: freeze what was asked, write the audience into the ledger, hash what is to be approved."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from include.campaigns.errors import ParametersChanged, ParametersInvalid
from include.campaigns.parameters import CampaignParameters
from include.database import connect, named_sql, require_current
from include.entities import Entity, Template

SQL = named_sql(__file__, "plan.sql")


@dataclass(frozen=True, slots=True)
class Plan:
    """A planned campaign: counts only, fit for an XCom."""

    campaign_id: int
    plan_hash: str
    target: int
    planned: int
    excluded: dict[str, int]


def plan_campaign(
    entity: Entity,
    parameters: CampaignParameters,
    *,
    dsn: str,
    run_key: str,
    connection_id: str,
    now: datetime,
) -> Plan:
    """Write the audience of one run into the ledger, once. Called again for the same run it returns the same
    plan.

    One transaction: either the whole audience with its reasons is there, or nothing. Raises ParametersChanged
    when the run was planned with other parameters, ParametersInvalid when the template was never
    synchronised.
    """
    template = entity.template(parameters.template)
    frozen = {**parameters.model_dump(mode="json"), "category": template.category}
    with connect(dsn, application="whatsapp plan") as conn:
        require_current(conn)
        campaign = SQL.campaign_of_run(conn, entity=entity.name, run_key=run_key)
        if campaign is None:
            campaign = _write(conn, entity, template, parameters, frozen, run_key, connection_id, now)
        if campaign["parameters_hash"] != parameters.hash:
            raise ParametersChanged(
                f"Campaign {campaign['id']} was planned by this run with other parameters. "
                "Start a new run instead of clearing this one."
            )
        excluded: dict[str, int] = {}
        planned = 0
        for row in SQL.waterfall(conn, month=campaign["month"], campaign_id=campaign["id"]):
            if row["state"] == "excluded":
                excluded[row["reason"]] = row["messages"]
            else:
                planned += row["messages"]
    return Plan(campaign["id"], campaign["plan_hash"], campaign["target"], planned, excluded)


def _write(
    conn: psycopg.Connection[Any],
    entity: Entity,
    template: Template,
    parameters: CampaignParameters,
    frozen: dict[str, Any],
    run_key: str,
    connection_id: str,
    now: datetime,
) -> dict[str, Any]:
    month = now.year * 100 + now.month
    approved = _approved_languages(conn, entity, template)
    SQL.ensure_month(conn, month=month)
    created = SQL.new_campaign(
        conn,
        entity=entity.name,
        name=parameters.name,
        run_key=run_key,
        connection_id=connection_id,
        month=month,
        parameters=json.dumps(frozen),
        parameters_hash=parameters.hash,
    )
    if created is not None:
        segment = entity.segment(parameters.segment)
        SQL.write_audience(
            conn,
            entity=entity.name,
            campaign_id=created["id"],
            month=month,
            recent_month=_month_before(month),
            now=now,
            countries=list(segment.countries),
            languages=list(segment.languages),
            attributes=json.dumps({name: _texts(value) for name, value in segment.attributes.items()}),
            category=template.category,
            template_languages=list(template.languages),
            approved_languages=approved,
            default_language=_default_language(entity, template),
            variables=json.dumps([variable.model_dump() for variable in template.variables]),
            max_per_week=entity.settings.max_messages_per_week,
            holdout=parameters.holdout_percent,
        )
        SQL.close_plan(conn, campaign_id=created["id"], month=month, parameters_hash=parameters.hash, now=now)
    campaign: dict[str, Any] = SQL.campaign_of_run(conn, entity=entity.name, run_key=run_key)
    return campaign


def _approved_languages(conn: psycopg.Connection[Any], entity: Entity, template: Template) -> list[str]:
    rows = conn.execute(
        "select language, status from template where entity = %s and name = %s", (entity.name, template.name)
    ).fetchall()
    if not rows:
        raise ParametersInvalid(
            f"The state of template {template.name!r} is not known: CM.com has not told of it. "
            f"Check its name and namespace, run sync_templates__{entity.name}, then start again."
        )
    return [row["language"] for row in rows if row["status"] == "APPROVED"]


def _default_language(entity: Entity, template: Template) -> str:
    default = entity.settings.default_language
    return default if default in template.languages else next(iter(template.languages))


def _month_before(month: int) -> int:
    return month - 1 if month % 100 > 1 else month - 89


def _texts(value: object) -> list[str]:
    """The values of which one must match, as the lower-case text that jsonb gives them."""
    values = value if isinstance(value, tuple) else (value,)
    return [json.dumps(item) if isinstance(item, bool) else str(item).lower() for item in values]
