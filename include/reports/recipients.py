"""The people behind a figure: a page of them, one of them with all proofs, and a CSV of everybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Protocol

import psycopg
from psycopg import ClientCursor, sql

from include.database import named_sql
from include.message_log.codes import CAUSES, explain
from include.reports.figures import FIGURES
from include.reports.rollup import SQL, Row, campaign_header

ROWS = named_sql(__file__, "rows.sql")
PAGE = 50

_CONDITIONS = {
    "reason": "coalesce(m.reason, '') = %(reason)s",
    "error_source": "m.error_source = %(error_source)s",
    "error_code": "m.error_code = %(error_code)s",
    "country": "coalesce(m.country, 'ZZ') = %(country)s",
    "language": "m.language = %(language)s",
    "variant": "coalesce(m.variant, '') = %(variant)s",
    "reference": "m.reference = %(reference)s",
}


class Writable(Protocol):
    """A file opened for bytes."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows: those of a figure (a key of FIGURES), narrowed by every other field that is not None."""

    figure: str = "target"
    reason: str | None = None
    error_source: str | None = None
    error_code: int | None = None
    country: str | None = None
    language: str | None = None
    variant: str | None = None
    reference: str | None = None

    def condition(self) -> sql.Composable:
        """SQL over campaign_message as m, of fixed parts only. Raises KeyError for an unknown figure."""
        parts = [FIGURES[self.figure].condition]
        parts += [text for name, text in _CONDITIONS.items() if getattr(self, name) is not None]
        return sql.SQL(" and ").join(sql.SQL(f"({part})") for part in parts)

    def parameters(self) -> dict[str, Any]:
        """The values of `condition`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def recipients(
    conn: psycopg.Connection[Any], campaign_id: int, filters: Filters, *, after: int = 0, limit: int = PAGE
) -> tuple[list[Row], int | None]:
    """One page of people in a fixed order, and the `after` of the next page (None at the end).

    Rows hold the full phone number: mask it before it is shown. Raises CampaignUnknown.
    """
    header = campaign_header(conn, campaign_id)
    query = _query(ROWS.page.sql, filters)
    where = {
        "month": header["month"],
        "campaign_id": campaign_id,
        "after": after,
        "limit": limit + 1,
        **filters.parameters(),
    }
    rows = conn.execute(query, where).fetchall()
    more = len(rows) > limit
    return rows[:limit], rows[limit - 1]["subscription_id"] if more else None


def recipient(conn: psycopg.Connection[Any], campaign_id: int, subscription_id: int) -> dict[str, Any] | None:
    """All that is known of one person in one campaign, or None. Raises CampaignUnknown.

    `{"row": ledger row and present subscription, "consent": the consent event that allowed it or None,
    "events": every status in order, "replies": kind and time of what they wrote (no text)}`.
    """
    header = campaign_header(conn, campaign_id)
    where = {"month": header["month"], "campaign_id": campaign_id, "subscription_id": subscription_id}
    row = SQL.one_recipient(conn, **where)
    if row is None:
        return None
    return {
        "row": row,
        "consent": SQL.consent_of(conn, consent_event_id=row["consent_event_id"]),
        "events": list(SQL.events_of(conn, **where)),
        "replies": list(SQL.replies_of(conn, campaign_id=campaign_id, subscription_id=subscription_id)),
    }


def csv_chunks(
    conn: psycopg.Connection[Any], campaign_id: int, filters: Filters | None = None, *, phones: bool = False
) -> Iterator[bytes]:
    """A CSV (RFC 4180, UTF-8, header line) of one row per person, as the server makes it: memory stays flat.

    `phones` fills in the full numbers: only for readers who may see them. Raises CampaignUnknown.
    """
    filters = filters or Filters()
    header = campaign_header(conn, campaign_id)
    where = {
        "phones": phones,
        "month": header["month"],
        "campaign_id": campaign_id,
        **filters.parameters(),
        **_explanations(conn, header["month"], campaign_id),
    }
    # COPY takes no parameters; mogrify quotes them as the driver does.
    text = ClientCursor(conn).mogrify(_query(ROWS.export.sql, filters), where).rstrip("; \n")
    with (
        conn.cursor() as cursor,
        cursor.copy(f"copy ({text}) to stdout (format csv, header)".encode()) as copy,
    ):
        for chunk in copy:
            yield bytes(chunk)


def write_csv(
    conn: psycopg.Connection[Any],
    campaign_id: int,
    file: Writable,
    filters: Filters | None = None,
    *,
    phones: bool = False,
) -> int:
    """Write `csv_chunks` to an open binary file; returns how many bytes. Raises CampaignUnknown."""
    written = 0
    for chunk in csv_chunks(conn, campaign_id, filters, phones=phones):
        file.write(chunk)
        written += len(chunk)
    return written


def _query(text: str, filters: Filters) -> sql.Composed:
    return sql.SQL(text).format(condition=filters.condition())


def _explanations(conn: psycopg.Connection[Any], month: int, campaign_id: int) -> dict[str, list[Any]]:
    """The codes of this campaign with their cause and meaning, as columns to join with."""
    pairs = sorted(
        {
            (row["error_source"], row["error_code"])
            for row in SQL.count_reasons(conn, month=month, campaign_id=campaign_id)
            if row["bucket"] in ("rejected", "failed")
        },
        key=str,
    )
    known = [explain(code, source) for source, code in pairs]
    return {
        "sources": [source for source, _ in pairs],
        "codes": [code for _, code in pairs],
        "causes": [CAUSES[item.cause].label for item in known],
        "meanings": [item.meaning for item in known],
    }
