"""Retention: what is older than the entity allows is blanked or deleted. Figures do not change."""

from __future__ import annotations

from datetime import datetime, timedelta

from include.database import connect, named_sql, require_current
from include.entities import Entity

SQL = named_sql(__file__)


def retain(entity: Entity, *, dsn: str, now: datetime) -> dict[str, int]:
    """Apply the entity's periods in one transaction; returns rows changed by kind. Repeating it changes
    nothing.
    """
    periods = entity.settings.retention
    texts = now - timedelta(days=periods.message_text_days)
    with connect(dsn, application="whatsapp retention") as conn:
        require_current(conn)
        return {
            "replies": SQL.forget_reply_texts(conn, entity=entity.name, before=texts),
            "variables": SQL.forget_variables(conn, entity=entity.name, before=texts),
            "set_aside": SQL.forget_set_aside(conn, entity=entity.name, before=texts),
            "rejects": SQL.forget_rejects(
                conn, entity=entity.name, before=now - timedelta(days=periods.staging_days)
            ),
        }
