"""Retention: what is older than the entity allows is blanked or deleted. Figures do not change."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg

from include.database import connect, named_sql, require_current
from include.entities import Entity

SQL = named_sql(__file__)


def retain(entity: Entity, *, dsn: str, now: datetime) -> dict[str, int]:
    """Apply the entity's periods; returns rows changed by kind. Repeating it changes nothing."""
    periods = entity.settings.retention
    texts = now - timedelta(days=periods.message_text_days)
    records = now - timedelta(days=periods.staging_days)
    with connect(dsn, application="whatsapp retention") as conn:
        require_current(conn)
        forgotten = {
            "replies": SQL.forget_reply_texts(conn, entity=entity.name, before=texts),
            "variables": SQL.forget_variables(conn, entity=entity.name, before=texts),
            "set_aside": SQL.forget_set_aside(conn, entity=entity.name, before=texts),
            "rejects": SQL.forget_rejects(conn, entity=entity.name, before=records),
            "pushed": SQL.forget_pushed(conn, entity=entity.name, before=records),
        }
        conn.commit()
        return forgotten | _forget_metadata(
            conn, entity, now - timedelta(days=periods.message_metadata_days), now
        )


def _forget_metadata(
    conn: psycopg.Connection[Any], entity: Entity, before: datetime, now: datetime
) -> dict[str, int]:
    """Delete the rows of campaigns that are over for so long, one campaign a transaction, and old replies.

    A campaign's figures were counted before and stay in the reports; when people last clicked stays with them.
    """
    messages = 0
    for campaign in list(SQL.campaigns_to_forget(conn, entity=entity.name, before=before)):
        rows = {"month": campaign["month"], "campaign_id": campaign["id"]}
        SQL.remember_clicks(conn, **rows)
        SQL.forget_events(conn, **rows)
        SQL.forget_clicks(conn, campaign_id=campaign["id"])
        messages += SQL.forget_messages(conn, **rows)
        SQL.note_forgotten(conn, campaign_id=campaign["id"], now=now)
        conn.commit()
    return {
        "messages": messages,
        "old_replies": SQL.forget_replies(conn, entity=entity.name, before=before),
        "strangers": SQL.forget_strangers(conn, entity=entity.name, before=before),
    }
