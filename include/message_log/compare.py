"""One day of our ledger against CM.com's log: every message on both sides, and at the price we expected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from include.database import connect, named_sql, require_current

SQL = named_sql(__file__)
LISTED = 1_000


@dataclass(frozen=True, slots=True)
class MissingMessage:
    """A message that CM.com accepted from us and that its log has not shown."""

    reference: str
    campaign_id: int
    state: str
    accepted_at: datetime


@dataclass(frozen=True, slots=True)
class DayCost:
    """The day's delivered and priced messages in one currency: what the log charges and what our rates say.

    `unrated` of them have no rate, so `expected` is without these.
    """

    currency: str | None
    messages: int
    charged: Decimal
    expected: Decimal
    unrated: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """`accepted` = `logged` + missing ones; `unheard`: the log told of them before any webhook did.

    `strangers`: messages in the log that we never sent. `missing` lists at most 1,000, `missing_count` is exact.
    """

    day: date
    accepted: int
    logged: int
    unheard: int
    strangers: int
    missing_count: int
    missing: tuple[MissingMessage, ...]
    costs: tuple[DayCost, ...]


def compare_day(entity: str, *, dsn: str, day: date) -> Comparison:
    """Compare a day (UTC) that was pulled in full, best a day or two later, when its statuses have come.

    Raises DatabaseUnavailable, SchemaOutOfDate.
    """
    with connect(dsn, application="whatsapp message log comparison") as conn:
        require_current(conn)
        totals = SQL.day_totals(conn, entity=entity, day=day)
        return Comparison(
            day=day,
            accepted=totals["accepted"],
            logged=totals["logged"],
            unheard=totals["unheard"],
            strangers=SQL.day_strangers(conn, entity=entity, day=day),
            missing_count=totals["accepted"] - totals["logged"],
            missing=tuple(
                MissingMessage(row["reference"], row["campaign_id"], row["state"], row["accepted_at"])
                for row in SQL.day_missing(conn, entity=entity, day=day, rows=LISTED)
            ),
            costs=tuple(
                DayCost(
                    row["currency"],
                    row["messages"],
                    row["charged"],
                    row["expected"] or Decimal(0),
                    row["unrated"],
                )
                for row in SQL.day_costs(conn, entity=entity, day=day)
            ),
        )
