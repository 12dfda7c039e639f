"""Everything a source holds, beside what we know: once a day, so that no "no" is lost on either side (C18)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg.types.json import Jsonb

from include.database import connect, named_sql, require_current
from include.database.copy import copy_table
from include.entities import Entity, Source
from include.optins.records import Records, read_records
from include.optins.sources import kind

logger = logging.getLogger(__name__)
queries = named_sql(__file__, "compare.sql")

# Told so lately, it may still be at work there (a bulk import runs when the source has time).
GRACE = timedelta(hours=2)
KEPT = 1000  # of each kind of difference that is no alert, so many are listed
# Records that say yes and cannot be taken: their yes is one all the same.
NOT_A_YES = pa.array(["consent_missing", "consent_unreadable", "no_record_id", "unreadable_row"])


class ConsentDiffers(Exception):
    """Somebody withdrew on one side and says yes on the other, and time does not explain it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one source says otherwise: records by kind of difference. `alerts` are those that break a promise."""

    source: str
    records: int
    differences: Mapping[str, int]
    alerts: int
    told_again: int


def compare(entity: Entity, source: Source, access: Any, *, dsn: str, now: datetime) -> Comparison:
    """Read all of a source and write down where it differs from our table; what it was told in vain is told again.

    One transaction that changes no consent: a missing yes or no comes with the next pull, and these say what to do.
    Raises SourceProblem, DatabaseUnavailable, SchemaOutOfDate.
    """
    where = {"entity": entity.name, "source": source.name}
    records = 0
    with connect(dsn, application=f"compare {source.name}") as conn:
        require_current(conn)
        queries.prepare(conn)
        for frame in kind(source.kind).fetch(source, access, None):
            read = read_records(frame, entity, source, now=now)
            records += copy_table(conn, "there", _said(read))
        queries.measure(conn)
        queries.find_differences(conn, **where, now=now, grace=GRACE)
        found = list(queries.counts(conn))
        alerts = sum(row["records"] for row in found if row["is_alert"])
        differences = {row["difference"]: row["records"] for row in found}
        queries.forget(conn, **where)
        queries.keep(conn, **where, now=now, most=KEPT)
        queries.close(conn, **where, now=now, records=records, alerts=alerts, differences=Jsonb(differences))
        told_again = queries.tell_again(conn, **where, now=now) if source.optout else 0
    logger.info("Compared %s of %s: %s records, %s", source.name, entity.name, records, differences)
    return Comparison(source.name, records, differences, alerts, told_again)


def raise_alerts(compared: Comparison, entity_name: str) -> None:
    """Raise ConsentDiffers, with counts and what to do, when the comparison found what must not be."""
    here = compared.differences.get("withdrawn_here_true_there", 0)
    there = compared.differences.get("withdrawn_there_true_here", 0)
    sentences = []
    if here:
        told = (
            f"{compared.told_again} are told again at once"
            if compared.told_again
            else "it has no way back (`optout`), or they are being told"
        )
        sentences.append(f"{here} people withdrew here and say yes there: {told}.")
    if there:
        sentences.append(
            f"{there} people withdrew there and are subscribed here: start pull_optins__{entity_name} with *whole* "
            "switched on, and see why the source does not show these changes."
        )
    if sentences:
        raise ConsentDiffers(
            f"Source {compared.source!r} and our table differ. {' '.join(sentences)} The page Opt-ins lists them."
        )


def comparisons(conn: psycopg.Connection[Any], entity_name: str) -> list[dict[str, Any]]:
    """The last comparison of each source: when, records, alerts, differences by kind."""
    return conn.execute(
        "select source, compared_at, records, alerts, differences from optin_comparison where entity = %s "
        "order by source",
        (entity_name,),
    ).fetchall()


def _said(read: Records) -> pa.Table:
    """What the records say that were taken, and the yes of those that cannot be."""
    taken = read.staged.select(["record_id", "consent", "occurred_at", "record_at"])
    left = read.rejected.filter(
        pc.and_(
            pc.invert(pc.is_in(read.rejected["reason"], value_set=NOT_A_YES)),
            pc.is_valid(read.rejected["record_id"]),
        )
    )
    rows = left.num_rows
    untimed = pa.nulls(rows, pa.timestamp("us", "UTC"))
    yes = pa.table(
        {
            "record_id": left["record_id"],
            "consent": pa.array([True] * rows, pa.bool_()),
            "occurred_at": untimed,
            "record_at": untimed,
        }
    )
    return pa.concat_tables([taken, yes])
