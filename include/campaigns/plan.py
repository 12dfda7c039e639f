"""Plan a campaign: freeze what was asked, write the audience into the ledger, hash what is to be approved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from include.campaigns import audience
from include.campaigns.errors import ParametersChanged, ParametersInvalid
from include.campaigns.parameters import CampaignParameters, hours_of
from include.database import connect, named_sql, require_current
from include.entities import Entity, Template
from include.links import store_links

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
    repeats: bool = False,
    confirms: bool = False,
) -> Plan:
    """Write the audience of one run into the ledger, once. Called again for the same run it returns the same plan.

    Another run with the same choices within 24 hours leaves out whoever the earlier one has planned, unless the
    campaign `repeats` (it has a schedule). One that `confirms` goes to the people who have still to confirm their yes,
    at most once for each yes, and to nobody else; no form can ask for that.

    One transaction: either the whole audience with its reasons is there, or nothing. Raises ParametersChanged when
    the run was planned with other parameters, ParametersInvalid when something it needs is not known (a template's
    state, a recipient, a rate for a budget).
    """
    with connect(dsn, application="whatsapp plan") as conn:
        require_current(conn)
        campaign = SQL.campaign_of_run(conn, entity=entity.name, run_key=run_key)
        if campaign is None:
            campaign = _write(
                conn, entity, parameters, run_key, connection_id, now, repeats=repeats, confirms=confirms
            )
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


def wanted(frozen: Mapping[str, Any]) -> str:
    """The state that people must have to get the campaign of these frozen parameters."""
    return "pending" if frozen.get("confirms") else "subscribed"


def _write(
    conn: psycopg.Connection[Any],
    entity: Entity,
    parameters: CampaignParameters,
    run_key: str,
    connection_id: str,
    now: datetime,
    *,
    repeats: bool,
    confirms: bool,
) -> dict[str, Any]:
    same = {"entity": entity.name, "parameters_hash": parameters.hash}
    template = entity.template(parameters.template)
    month = now.year * 100 + now.month
    texts = {name: _states(conn, entity, entity.template(name)) for name in parameters.template_names()}
    nearest = {name: _nearest(entity, entity.template(name)) for name in parameters.template_names()}
    _check_what_is_needed(conn, entity, parameters, template, now)
    window, quiet = hours_of(entity, parameters)
    frozen = {
        **parameters.model_dump(mode="json"),
        "category": template.category,
        # The texts as they are now: what is approved is what is sent, whatever the files say later.
        "texts": {
            name: entity.template(name).model_dump(mode="json") for name in parameters.template_names()
        },
        "window": window.model_dump(mode="json") if window else None,
        "quiet_hours": quiet.model_dump(mode="json") if quiet else None,
        "max_messages_per_week": parameters.max_messages_per_week or entity.settings.max_messages_per_week,
    }
    reachability = entity.settings.reachability
    frozen["undeliverable_campaigns"] = reachability.undeliverable_campaigns
    frozen["undeliverable_days"] = reachability.within_days
    if confirms:
        frozen["confirms"] = True
        list(SQL.lock_confirmations(conn, entity=entity.name))
    expires_at = now + timedelta(hours=parameters.expires_hours)
    SQL.ensure_month(conn, month=month)
    list(SQL.lock_twins(conn, entity=entity.name, parameters_hash=parameters.hash))
    twins = [] if repeats or confirms else [row["id"] for row in SQL.twins(conn, **same, now=now)]
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
        statement = audience.compose(
            SQL.write_audience.sql, entity, parameters, category=template.category, confirms=confirms
        )
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
                "nearest": json.dumps(nearest),
                "language": parameters.language,
                "closed_countries": list(entity.settings.closed_to_marketing),
                "twins": twins,
                "wanted": wanted(frozen),
                "max_per_week": frozen["max_messages_per_week"],
                "holdout": parameters.holdout_percent,
                "probe": parameters.probe_percent,
                "window_start": window.start if window else None,
                "window_end": window.end if window else None,
                "quiet_start": quiet.start if quiet else None,
                "quiet_end": quiet.end if quiet else None,
                "entity_zone": entity.settings.time_zone,
                "expires_at": expires_at,
            },
        )
        used = [entity.template(item) for item in dict.fromkeys(parameters.template_names())]
        store_links(conn, entity, used, campaign_id=created["id"], name=parameters.name)
        written = SQL.hash_of_plan(conn, campaign_id=created["id"], month=month)
        SQL.close_plan(conn, **written, campaign_id=created["id"], now=now)
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
        currencies = [
            row["currency"] for row in SQL.currencies(conn, category=template.category, today=now.date())
        ]
        if len(currencies) > 1:
            raise ParametersInvalid(
                f"A budget needs rates in one currency; those loaded are in {', '.join(currencies)}. "
                "Load them in one, or leave the budget empty."
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


def _nearest(entity: Entity, template: Template) -> dict[str, str]:
    """Per base language (nl of nl_BE) the template's language that fits best; under `*` everybody else's."""
    default = entity.settings.default_language
    fits = {language.partition("_")[0]: language for language in sorted(template.languages, reverse=True)}
    fits["*"] = fits.get(default.partition("_")[0], next(iter(template.languages)))
    return fits | ({"*": default} if default in template.languages else {})
