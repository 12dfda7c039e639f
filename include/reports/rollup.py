"""The figures of one campaign, counted from its ledger rows. Reads only; `refresh` stores them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg

from include.database import named_sql

SQL = named_sql(__file__)
Row = dict[str, Any]


class CampaignUnknown(LookupError):
    """There is no such campaign."""


@dataclass(frozen=True, slots=True)
class Rollup:
    """`totals` is a row of report_campaign without key and time; the rest are rows of its breakdowns."""

    header: Row
    totals: Row
    reasons: list[Row]
    countries: list[Row]
    hours: list[Row]
    variants: list[Row]
    times: list[Row]
    links: list[Row]
    days: list[Row]


def count(conn: psycopg.Connection[Any], campaign_id: int) -> Rollup:
    """Count everything that a report shows of the campaign, in the caller's transaction.

    Raises CampaignUnknown.
    """
    header = campaign_header(conn, campaign_id)
    where = {"month": header["month"], "campaign_id": campaign_id}
    totals = _totals(header, SQL.count_states(conn, **where), list(SQL.count_costs(conn, **where)))
    links = list(SQL.count_links(conn, campaign_id=campaign_id))
    return Rollup(
        header=header,
        totals={**totals, "clicks": sum(row["clicks"] for row in links)},
        reasons=list(SQL.count_reasons(conn, **where)),
        countries=list(SQL.count_countries(conn, **where)),
        hours=list(SQL.count_hours(conn, **where)),
        variants=list(SQL.count_variants(conn, **where)),
        times=list(SQL.count_times(conn, **where)),
        links=links,
        days=list(SQL.count_days(conn, **where)),
    )


def campaign_header(conn: psycopg.Connection[Any], campaign_id: int) -> Row:
    """The campaign's own facts. Raises CampaignUnknown."""
    header: Row | None = SQL.campaign_header(conn, campaign_id=campaign_id)
    if header is None:
        raise CampaignUnknown(f"There is no campaign {campaign_id}.")
    return header


def _totals(header: Row, states: Row, costs: list[Row]) -> Row:
    """The balance compares the people in the ledger with the target that the plan froze."""
    people = states["people"]
    target = people if header["target"] is None else header["target"]
    accepted = states["awaiting"] + states["failed"] + states["delivered"]
    return {
        **{name: value for name, value in states.items() if name != "people"},
        "target": target,
        "planned": target - states["excluded"],
        "accepted": accepted,
        "balance": target - people,
        **_cost(costs),
    }


def _cost(costs: list[Row]) -> Row:
    known = [row for row in costs if row["amount"] is not None]
    # Amounts in two currencies have no sum; the page then says so instead of showing a figure.
    amount: Decimal | None = known[0]["amount"] if len(known) == 1 else None
    currency = known[0]["currency"] if len(known) == 1 else ("mixed" if known else None)
    return {
        "cost": amount,
        "cost_currency": currency or None,
        "cost_estimated": any(row["estimated"] for row in costs),
        "cost_unpriced": sum(row["unpriced"] or 0 for row in costs),
    }
