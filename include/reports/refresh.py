"""Bring the roll-ups of an entity's campaigns and people up to date.

A trigger marks a campaign in `report_change` in the transaction that changes one of its ledger rows, so only
marked campaigns are counted again. None is missed: the marks are taken first, the ledger is read after them.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import psycopg

from include.database import connect, require_current
from include.reports.optins import refresh_statuses
from include.reports.reputation import refresh_reachability
from include.reports.rollup import SQL, Rollup, count


def refresh(entity_name: str, *, dsn: str, now: datetime, everything: bool = False) -> dict[str, Any]:
    """Count the changed campaigns of the entity again, each in one transaction; a second run changes nothing.

    `everything` counts all of them, for when past rates were corrected. Returns
    `{"campaigns": how many were counted, "people": their ledger rows, "seconds": time spent}`.
    Raises DatabaseUnavailable, SchemaOutOfDate.
    """
    started = time.monotonic()
    people = 0
    with connect(dsn, application="whatsapp refresh_reports") as conn:
        require_current(conn)
        choose = SQL.all_campaigns if everything else SQL.changed_campaigns
        campaign_ids = [row["id"] for row in choose(conn, entity=entity_name)]
        conn.commit()
        with conn.transaction():
            refresh_statuses(conn, entity_name, now=now, everything=everything)
            refresh_reachability(conn, entity_name, now=now, everything=everything)
        for campaign_id in campaign_ids:
            with conn.transaction():
                people += refresh_campaign(conn, campaign_id, now=now).totals["target"]
    return {
        "campaigns": len(campaign_ids),
        "people": people,
        "seconds": round(time.monotonic() - started, 3),
    }


def refresh_campaign(conn: psycopg.Connection[Any], campaign_id: int, *, now: datetime) -> Rollup:
    """Count one campaign and store it in the caller's READ COMMITTED transaction. Raises CampaignUnknown."""
    list(SQL.lock_campaign(conn, campaign_id=campaign_id))
    SQL.take_marks(conn, campaign_id=campaign_id)
    rollup = count(conn, campaign_id)
    SQL.write_campaign(conn, campaign_id=campaign_id, refreshed_at=now, **rollup.totals)
    SQL.forget_parts(conn, campaign_id=campaign_id)
    for write, rows in (
        (SQL.write_reason, rollup.reasons),
        (SQL.write_country, rollup.countries),
        (SQL.write_hour, rollup.hours),
        (SQL.write_variant, rollup.variants),
        (SQL.write_time, rollup.times),
        (SQL.write_link, rollup.links),
        (SQL.write_day, rollup.days),
    ):
        if rows:
            write(conn, [{**row, "campaign_id": campaign_id} for row in rows])
    return rollup
