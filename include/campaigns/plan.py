"""Plan a campaign: freeze what was asked, write the audience into the ledger, hash what is to be approved."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

import psycopg

from include.campaigns import audience
from include.campaigns.errors import ParametersChanged, ParametersInvalid
from include.campaigns.parameters import CampaignParameters, Window
from include.database import connect, named_sql, require_current
from include.entities import Entity, Template
from include.links import store_links

SQL = named_sql(__file__, "plan.sql")
# A window that covers the day is none: nobody's clock has to be asked.
ALL_DAY = (time(0), time(23, 59))


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
    """Write the audience of one run into the ledger, once. Called again for the same run it returns the same plan.

    One transaction: either the whole audience with its reasons is there, or nothing. Raises ParametersChanged when
    the run was planned with other parameters, ParametersInvalid when something it needs is not known (a template's
    state, a recipient, a rate for a budget).
    """
    with connect(dsn, application="whatsapp plan") as conn:
        require_current(conn)
        campaign = SQL.campaign_of_run(conn, entity=entity.name, run_key=run_key)
        if campaign is None:
            campaign = _write(conn, entity, parameters, run_key, connection_id, now)
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


def window_of(entity: Entity, parameters: CampaignParameters) -> Window | None:
    """The hours in which people may be written to: the campaign's, else the entity's; None: at any time."""
    if parameters.window is not None:
        return parameters.window
    start, end = entity.settings.sending_window
    return None if (start, end) == ALL_DAY else Window(start=start, end=end)


def _write(
    conn: psycopg.Connection[Any],
    entity: Entity,
    parameters: CampaignParameters,
    run_key: str,
    connection_id: str,
    now: datetime,
) -> dict[str, Any]:
    template = entity.template(parameters.template)
    month = now.year * 100 + now.month
    texts = {name: _states(conn, entity, entity.template(name)) for name in parameters.template_names()}
    _check_what_is_needed(conn, entity, parameters, template, now)
    window = window_of(entity, parameters)
    frozen = {
        **parameters.model_dump(mode="json"),
        "category": template.category,
        "window": window.model_dump(mode="json") if window else None,
        "max_messages_per_week": parameters.max_messages_per_week or entity.settings.max_messages_per_week,
    }
    expires_at = now + timedelta(hours=parameters.expires_hours)
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
        expires_at=expires_at,
        open_wave=0 if parameters.probe_percent else 1,
    )
    if created is not None:
        statement = audience.compose(SQL.write_audience.sql, entity, parameters, category=template.category)
        conn.execute(
            statement,
            {
                "entity": entity.name,
                "campaign_id": created["id"],
                "month": month,
                "recent_month": month - 1 if month % 100 > 1 else month - 89,
                "now": now,
                "category": template.category,
                "texts": json.dumps(texts),
                "default_language": _default_language(entity, template),
                "max_per_week": frozen["max_messages_per_week"],
                "holdout": parameters.holdout_percent,
                "probe": parameters.probe_percent,
                "window_start": window.start if window else None,
                "window_end": window.end if window else None,
                "entity_zone": entity.settings.time_zone,
                "expires_at": expires_at,
            },
        )
        used = [entity.template(item) for item in dict.fromkeys(parameters.template_names())]
        store_links(conn, entity, used, campaign_id=created["id"], name=parameters.name)
        SQL.close_plan(conn, campaign_id=created["id"], month=month, parameters_hash=parameters.hash, now=now)
    campaign: dict[str, Any] = SQL.campaign_of_run(conn, entity=entity.name, run_key=run_key)
    return campaign


def _states(conn: psycopg.Connection[Any], entity: Entity, template: Template) -> dict[str, bool]:
    """Per language of a template, whether it may be sent."""
    rows = conn.execute(
        "select language, status from template where entity = %s and name = %s", (entity.name, template.name)
    ).fetchall()
    if not rows:
        raise ParametersInvalid(
            f"The state of template {template.name!r} is not known: CM.com has not told of it. "
            f"Check its name and namespace, run sync_templates__{entity.name}, then start again."
        )
    approved = {row["language"] for row in rows if row["status"] == "APPROVED"}
    return {language: language in approved for language in template.languages}


def _check_what_is_needed(
    conn: psycopg.Connection[Any],
    entity: Entity,
    parameters: CampaignParameters,
    template: Template,
    now: datetime,
) -> None:
    if parameters.budget is not None:
        countries = [
            row["country"] or "??"
            for row in SQL.unpriced_countries(
                conn, entity=entity.name, category=template.category, today=now.date()
            )
        ]
        if countries:
            raise ParametersInvalid(
                f"A budget needs a rate for every country; none is loaded for {', '.join(countries)}. "
                "Load rates (`whatsapp rates load FILE`), or leave the budget empty."
            )
    if parameters.recipients:
        given = json.dumps([{"source": r.source, "record_id": r.record_id} for r in parameters.recipients])
        unknown = list(SQL.unknown_recipients(conn, entity=entity.name, recipients=given))
        if unknown:
            first = ", ".join(f"{row['source']}:{row['record_id']}" for row in unknown[:5])
            raise ParametersInvalid(
                f"{len(unknown)} of {len(parameters.recipients)} recipients are not known ({first} …). "
                "Only people whose record was pulled can be written to; nobody was planned."
            )


def _default_language(entity: Entity, template: Template) -> str:
    default = entity.settings.default_language
    return default if default in template.languages else next(iter(template.languages))
