"""The guard: a run that flips an implausible share of the people known is held until somebody releases it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from include.database import named_sql
from include.entities import Entity

queries = named_sql(__file__, "reconcile.sql")
projection_queries = named_sql(__file__, "projection.sql")


@dataclass(frozen=True, slots=True)
class GuardFigures:
    """People who were known and would change sides. `known` is None where it was not needed to decide."""

    opted_out: int
    opted_in: int
    known: int | None
    max_share: float

    def as_dict(self) -> dict[str, int | float | None]:
        """For `sync_run.outcome`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Release:
    """Somebody lets a held run through. `figures` are those that were looked at; None: whatever they are."""

    by: str
    figures: GuardFigures | None = None


class GuardHeld(Exception):
    """The guard stopped a reconcile; nothing was changed."""

    def __init__(self, figures: GuardFigures) -> None:
        self.figures = figures
        super().__init__(
            f"It would opt out {figures.opted_out} and opt in {figures.opted_in} of {figures.known} people known; "
            f"the guard allows {figures.max_share:.0%} of either. See the source and release the run or pull again."
        )


def check(
    conn: psycopg.Connection[Any],
    entity: Entity,
    written: Mapping[tuple[str, str], int],
    *,
    release: Release | None,
) -> GuardFigures:
    """Compare what is decided, and what is `written` already, with what the entity allows.

    `written`: people by (old state, new state). Raises GuardHeld; the caller's savepoint undoes it all. Of a released
    run only what goes beyond the figures that were looked at is judged: sources move on meanwhile.
    """
    guard = entity.settings.guard
    flips = projection_queries.flips(conn)
    opted_out = flips["opted_out"] + written.get(("subscribed", "unsubscribed"), 0)
    opted_in = flips["opted_in"]  # news that takes a no back is never written before it is judged
    seen = release.figures if release and release.figures else GuardFigures(0, 0, None, guard.max_share)
    most = max(opted_out - seen.opted_out, opted_in - seen.opted_in)
    known = _known_people(conn, entity, enough=max(guard.min_people, math.ceil(most / guard.max_share)))
    figures = GuardFigures(opted_out, opted_in, known, guard.max_share)
    trusted = release is not None and release.figures is None
    if known is not None and known >= guard.min_people and most > guard.max_share * known and not trusted:
        raise GuardHeld(figures)
    return figures


def _known_people(conn: psycopg.Connection[Any], entity: Entity, *, enough: int) -> int | None:
    """How many people are known; None if they are `enough` to allow it: counting 5M takes half a second."""
    guard = entity.settings.guard
    if enough <= guard.min_people:
        return None
    known: int = queries.known_people(conn, entity=entity.name, most=enough)
    return known if known < enough else None
