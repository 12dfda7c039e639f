"""One day of our ledger against CM.com's log: every message on both sides, and at the price we expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import ClientCursor

from include.database import connect, named_sql, require_current

SQL = named_sql(__file__, "compare.sql")
# Statuses and prices of a day still come for some time: each day is compared again on the days that follow …
DAYS = 4
# … but not with every pull of the log.
AGAIN_AFTER = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class DayCost:
    """The day's delivered and priced messages in one currency: what the log charges and what our rates say.

    `unrated` of them have no rate, so `expected` is without these; `priced_apart` are charged otherwise than rated.
    """

    currency: str
    messages: int
    charged: Decimal
    expected: Decimal
    unrated: int
    priced_apart: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """`accepted` = `logged` + `missing`; `unheard`: the log told of them what no webhook had.

    `strangers`: messages in the log that we never sent.
    """

    day: date
    accepted: int
    logged: int
    missing: int
    unheard: int
    strangers: int
    costs: tuple[DayCost, ...]

    @property
    def priced_apart(self) -> int:
        """Messages that the log charges at another price than our rates say."""
        return sum(cost.priced_apart for cost in self.costs)

    @property
    def differences(self) -> int:
        """How many rows `difference_csv` has."""
        return self.missing + self.unheard + self.strangers + self.priced_apart


def compare_day(conn: psycopg.Connection[Any], entity: str, day: date) -> Comparison:
    """Compare a day (UTC) that was pulled in full, best a day or two later, when its statuses have come."""
    totals = SQL.day_totals(conn, entity=entity, day=day)
    costs = tuple(DayCost(**row) for row in SQL.day_costs(conn, entity=entity, day=day))
    return Comparison(day=day, **totals, costs=costs)


def compare_due_days(entity: str, *, dsn: str, now: datetime) -> list[Comparison]:
    """Compare the last days again where that is due, a transaction each, and keep the outcome in `log_day`.

    Raises DatabaseUnavailable, SchemaOutOfDate.
    """
    today = now.date()
    days = [today - timedelta(days=back) for back in range(1, DAYS + 1)]
    with connect(dsn, application="whatsapp message log comparison") as conn:
        require_current(conn)
        due = [row["day"] for row in SQL.due_days(conn, entity=entity, days=days, before=now - AGAIN_AFTER)]
        conn.commit()
        found = []
        for day in due:
            with conn.transaction():
                comparison = compare_day(conn, entity, day)
                _keep(conn, entity, comparison, now)
            found.append(comparison)
    return found


def difference_csv(conn: psycopg.Connection[Any], entity: str, day: date) -> Iterator[bytes]:
    """A CSV of the day's differences, a message each: difference, reference, campaign, state, time, prices."""
    text = ClientCursor(conn).mogrify(SQL.differences.sql, {"entity": entity, "day": day}).rstrip("; \n")
    with (
        conn.cursor() as cursor,
        cursor.copy(f"copy ({text}) to stdout (format csv, header)".encode()) as copy,
    ):
        for chunk in copy:
            yield bytes(chunk)


def text(found: Comparison) -> str:
    """The comparison as `whatsapp log` prints it."""
    lines = [
        f"{found.day} (UTC): {found.accepted:,} accepted, {found.logged:,} of them in CM.com's log",
        f"  missing from the log       {found.missing:>9,}",
        f"  heard of by the log alone  {found.unheard:>9,}",
        f"  in the log and not ours    {found.strangers:>9,}",
        f"  charged otherwise than our rates say {found.priced_apart:,}",
    ]
    lines += [
        f"  cost: charged {cost.charged:,.4f} {cost.currency}, expected {cost.expected:,.4f}"
        + (f" ({cost.unrated:,} of {cost.messages:,} messages have no rate)" if cost.unrated else "")
        for cost in found.costs
    ]
    return "\n".join(lines)


def _keep(conn: psycopg.Connection[Any], entity: str, found: Comparison, now: datetime) -> None:
    key = {"entity": entity, "day": found.day}
    SQL.write_day(
        conn,
        **key,
        accepted=found.accepted,
        logged=found.logged,
        missing=found.missing,
        unheard=found.unheard,
        strangers=found.strangers,
        priced_apart=found.priced_apart,
        now=now,
    )
    SQL.forget_costs(conn, **key)
    for cost in found.costs:
        SQL.write_cost(
            conn,
            **key,
            currency=cost.currency,
            messages=cost.messages,
            charged=cost.charged,
            expected=cost.expected,
            unrated=cost.unrated,
        )
