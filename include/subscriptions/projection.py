"""From the consent ledger to the present state of people. The rules: `projection.sql`, from `decide` on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import psycopg

from include.database import named_sql
from include.entities import Entity

queries = named_sql(__file__, "projection.sql")

Changes = dict[tuple[str, str], int]
MANY = 1000  # rows, from which on the planner should know of them


def rebuild(conn: psycopg.Connection[Any], entity: Entity, *, now: datetime) -> int:
    """Compute every person's state anew from the ledger; returns how many differed (0, unless somebody wrote past us).

    In the caller's transaction. Safe beside anything else: it locks the rows it reads.
    """
    queries.prepare(conn)
    queries.forget_touched(conn)
    queries.touch_everyone(conn, entity=entity.name)
    measure(conn)
    project(conn, precedence=entity.settings.precedence)
    return sum(apply(conn, now=now).values())


def project_people(
    conn: psycopg.Connection[Any],
    entity: str,
    ids: Iterable[int],
    *,
    now: datetime,
    reason: str = "opted_out",
) -> Changes:
    """Bring the state of some people up to date with the ledger, with all that follows from it; consent only.

    In the caller's transaction. Returns people by (old state, new state), those that changed.
    """
    queries.prepare(conn)
    queries.forget_touched(conn)
    queries.touch(conn, entity=entity, ids=list(ids))
    project(conn, precedence=None)
    changes = apply(conn, now=now)
    follow_up(conn, now=now, reason=reason)
    return changes


def project(conn: psycopg.Connection[Any], *, precedence: Iterable[str] | None) -> None:
    """Decide the state of the people in `touched`, into the work tables; with `precedence`, their attributes too."""
    queries.forget_projected(conn)
    queries.lock_touched(conn)
    queries.gather(conn)
    if precedence is not None:
        queries.measure_held(conn)
    queries.decide(conn)
    if found := queries.gather_open(conn):
        if found > MANY:
            queries.measure_open(conn)
        queries.decide_expired(conn)
        queries.decide_pending(conn)
    if precedence is not None:
        queries.describe(conn, precedence=list(precedence))


def measure(conn: psycopg.Connection[Any]) -> None:
    """Let the planner know how many people are touched; worth its few milliseconds from some thousands on."""
    queries.measure_touched(conn)
    queries.measure_projected(conn)


def apply(conn: psycopg.Connection[Any], *, now: datetime) -> Changes:
    """Write what `project` decided where it differs. Returns people by (old state, new state)."""
    return {(row["was"], row["became"]): row["people"] for row in queries.apply(conn, now=now)}


def follow_up(conn: psycopg.Connection[Any], *, now: datetime, reason: str = "opted_out") -> dict[str, int]:
    """What a changed mind entails: the suppression list, and the sources that must be told. Returns rows written."""
    queries.note_spoken(conn)
    return {
        "suppressed": queries.suppress(conn, reason=reason),
        "unsuppressed": queries.unsuppress(conn),
        "to_tell": queries.tell_sources(conn, now=now),
    }
