"""Staging → consent ledger → subscription table: an entity's open pulls in one transaction, or nothing."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from include.database import connect, named_sql, require_current
from include.entities import Entity
from include.subscriptions import projection
from include.subscriptions.guard import GuardFigures, GuardHeld, Release, check
from include.subscriptions.suppression import check_key, pads
from include.subscriptions.wordings import record_wordings

logger = logging.getLogger(__name__)
queries = named_sql(__file__, "reconcile.sql")

NEW = "new"  # the former state of people we had not heard of


@dataclass(frozen=True, slots=True)
class _Pull:
    """A run to take over: its source, how many rows it staged, and whether a "yes" in them has to be confirmed."""

    source: str
    staged: int
    double_opt_in: bool


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    """What one reconcile did. `state` is `applied`, `held` (the guard stopped it, `guard` says why) or `nothing_to_do`.

    `people` counts those whose state changed, by `new`, `subscribed`, `unsubscribed`, `expired`, `pending`, `updated`
    (attributes or proof alone); `outcomes` the records per run; `rows_written` every row of every lasting table but the
    runs' own, so that a rerun shows 0. `ask`: held, and nobody is being asked about it yet.
    """

    state: str
    runs: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    people: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    rows_written: int = 0
    guard: GuardFigures | None = None
    ask: bool = False


def reconcile(
    entity: Entity, *, dsn: str, key: bytes, now: datetime, release: Release | None = None
) -> ReconcileResult:
    """Take over every staged pull of an entity, and with `release` those the guard holds too.

    `key` is the suppression key. One transaction with a lock per entity: a second one waits and finds nothing left.
    Raises WordingChanged, SuppressionKeyProblem, DatabaseUnavailable, SchemaOutOfDate; nothing has changed then.
    """
    with connect(dsn, application=f"reconcile {entity.name}") as conn:
        require_current(conn)
        check_key(conn, key)
        hold_entity(conn, entity.name)
        runs, lost = _open_runs(conn, entity, now, release=release)
        if not runs:
            return ReconcileResult("nothing_to_do", lost=tuple(lost))
        try:
            try:
                with conn.transaction():
                    result = _reconcile(conn, entity, runs, key, now, release=release)
            except UniqueViolation:
                # News was taken for new that is in the ledger: then all of it goes the way that asks for that.
                logger.warning("Reconciling %s again without direct news", entity.name)
                with conn.transaction():
                    result = _reconcile(conn, entity, runs, key, now, release=release, direct=False)
        except GuardHeld as held:
            queries.hold_runs(
                conn, runs=list(runs), now=now, problem=str(held), figures=Jsonb(held.figures.as_dict())
            )
            until = now + timedelta(hours=entity.settings.guard.answer_hours)
            ask = queries.ask_about(conn, entity=entity.name, runs=list(runs), now=now, until=until) > 0
            logger.warning("Held the opt-ins of %s: %s", entity.name, held)
            return ReconcileResult("held", tuple(runs), tuple(lost), guard=held.figures, ask=ask)
    logger.info("Reconciled %s: runs %s, people %s", entity.name, list(runs), dict(result.people))
    return ReconcileResult(
        "applied", tuple(runs), tuple(lost), result.people, result.outcomes, result.rows_written, result.guard
    )


def hold_entity(conn: psycopg.Connection[Any], entity: str) -> None:
    """Wait for the entity's reconcile to end and keep others waiting until this transaction ends.

    For whoever changes what sources said of people: a reconcile counts on being alone with it.
    """
    queries.lock_entity(conn, entity=entity)


def _open_runs(
    conn: psycopg.Connection[Any], entity: Entity, now: datetime, *, release: Release | None
) -> tuple[dict[int, _Pull], list[int]]:
    """The runs to take over by id, and the ids of those whose rows are gone."""
    states = ["staged", "held"] if release else ["staged"]
    found = list(queries.open_runs(conn, entity=entity.name, states=states))
    lost = [run["id"] for run in found if run["is_lost"]]
    if lost:
        queries.mark_lost(conn, runs=lost, now=now)
        queries.clear_staging(conn, runs=lost)
        logger.warning(
            "Lost the staged rows of the runs %s of %s; they will be pulled again", lost, entity.name
        )
    pulls = {
        run["id"]: _Pull(run["source"], run["staged"], run["double_opt_in"])
        for run in found
        if run["id"] not in lost
    }
    return pulls, lost


def _reconcile(
    conn: psycopg.Connection[Any],
    entity: Entity,
    runs: Mapping[int, _Pull],
    key: bytes,
    now: datetime,
    *,
    release: Release | None,
    direct: bool = True,
) -> ReconcileResult:
    name, ids = entity.name, list(runs)
    record_wordings(conn, entity)
    queries.more_memory(conn)
    projection.queries.prepare(conn)
    last_event = queries.last_event(conn)
    changed = _find_news(conn, entity, runs, key, direct=direct)
    queries.trust_memory(conn)
    erased = queries.reject_erased(conn, entity=name)
    written = queries.prefer_longer_numbers(conn, now=now)
    written += _record(conn, entity)
    written += queries.spread_withdrawals(conn, entity=name)
    people = _write_direct(conn, entity, now)
    queries.distrust_memory(conn)
    queries.recall_stops(conn, entity=name)
    queries.touch(conn)
    projection.measure(conn)
    projection.project(conn, precedence=entity.settings.precedence)
    projection.measure(conn)
    figures = check(conn, entity, people, release=release)
    for change, number in projection.apply(conn, now=now).items():
        people[change] += number
    for row in queries.write_newcomers(conn, entity=name, now=now):
        people[NEW, row["status"]] += row["people"]
    followed = projection.follow_up(conn, now=now)
    outcomes = _outcomes(conn, runs, changed, last_event)
    queries.close_runs(
        conn,
        runs=ids,
        outcomes=[Jsonb(outcomes[run]) for run in ids],
        now=now,
        released_by=release.by if release else None,
    )
    queries.clear_staging(conn, runs=ids)
    written += sum(people.values()) + sum(followed.values())
    return ReconcileResult(
        "applied",
        people=_by_outcome(people) | followed | {"erased": erased},
        outcomes=outcomes,
        rows_written=written,
        guard=figures,
    )


def _find_news(
    conn: psycopg.Connection[Any], entity: Entity, runs: Mapping[int, _Pull], key: bytes, *, direct: bool
) -> dict[int, int]:
    """Say in the work tables what the runs bring that is new, and of whom. Changed records by run."""
    queries.measure_staging(conn)
    queries.plan_look_ups(conn)
    queries.collect_changed(
        conn,
        entity=entity.name,
        runs=list(runs),
        sources=[pull.source for pull in runs.values()],
        to_confirm=[pull.double_opt_in for pull in runs.values()],
        **pads(key),
    )
    queries.plan_freely(conn)
    queries.measure_incoming(conn)
    queries.set_apart(conn, entity=entity.name, direct=direct)
    queries.measure_apart(conn)
    queries.find_plain_newcomers(conn)
    queries.find_newcomers(conn, entity=entity.name)
    queries.measure_newcomers(conn)
    queries.identify(conn, direct=direct)
    queries.measure_news(conn)
    queries.part(conn)
    queries.measure_intricate(conn)
    return {row["sync_run_id"]: row["records"] for row in queries.count_changed(conn)}


def _record(conn: psycopg.Connection[Any], entity: Entity) -> int:
    """Write the events and what the sources now say; returns the rows written."""
    language = entity.settings.default_language
    events = queries.add_direct_events(conn, entity=entity.name, default_language=language)
    events += queries.add_events(conn, entity=entity.name, default_language=language)
    records = queries.renew_records(conn) + queries.add_records(conn, entity=entity.name)
    records += queries.remember_records(conn, entity=entity.name)
    return int(events + records)


def _write_direct(conn: psycopg.Connection[Any], entity: Entity, now: datetime) -> Counter[tuple[str, str]]:
    """Write the state of the people whose news needs no look back. People by (old state, new state)."""
    people: Counter[tuple[str, str]] = Counter()
    for row in queries.apply_direct(conn, now=now):
        people[row["was"], row["became"]] += row["people"]
    for row in queries.write_direct_newcomers(conn, entity=entity.name, now=now):
        people[NEW, row["status"]] += row["people"]
    return people


def _outcomes(
    conn: psycopg.Connection[Any], runs: Mapping[int, _Pull], changed: Mapping[int, int], last_event: int
) -> dict[int, dict[str, int]]:
    """Per run: records `changed` and `unchanged`, and the ledger rows they became."""
    outcomes = {
        run: {
            "changed": changed.get(run, 0),
            "unchanged": pull.staged - changed.get(run, 0),
            "granted": 0,
            "withdrawn": 0,
        }
        for run, pull in runs.items()
    }
    for row in queries.count_events(conn, after=last_event, runs=list(runs)):
        outcomes[row["sync_run_id"]][{"grant": "granted", "withdraw": "withdrawn"}[row["action"]]] = row[
            "events"
        ]
    return outcomes


def _by_outcome(people: Mapping[tuple[str, str], int]) -> dict[str, int]:
    counts: defaultdict[str, int] = defaultdict(int, {"new": 0})
    for (was, became), number in people.items():
        counts["new"] += number if was == NEW else 0
        counts[became if was != became else "updated"] += number
    return dict(counts)
