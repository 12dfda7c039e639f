"""Source → staging: everything of one pull in one transaction, or nothing."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pyarrow as pa
from psycopg.types.json import Jsonb

from include.database import connect, named_sql, require_current
from include.database.behind import Behind
from include.database.copy import copy_table
from include.entities import Entity, Source
from include.optins.contract import ShapeOfPull, check_contract
from include.optins.records import Records, read_records
from include.optins.sources import SourceProblem, kind
from include.optins.sources.own import OwnStore, RememberedFolder

logger = logging.getLogger(__name__)
queries = named_sql(__file__)


@dataclass(frozen=True, slots=True)
class PullResult:
    """One pull. `since` is where it began (None: everything), `watermark` how far it came. `pulled` is `staged` and
    `rejected` together, `reasons` the rejected by reason.
    """

    run_id: int
    source: str
    since: datetime | None
    watermark: datetime | None
    pulled: int
    staged: int
    rejected: int
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opener:
    """An access that is opened when the pull begins and closed at its end. That it cannot be opened is the pull's
    problem.
    """

    open: Callable[[], AbstractContextManager[Any]]


def pull(
    entity: Entity,
    source: Source,
    access: Any,
    *,
    dsn: str,
    run_key: str,
    now: datetime,
    whole: bool = False,
) -> PullResult:
    """Bring what changed at a source into staging and set aside what cannot be taken, with the reason.

    `access` is what the source's kind wants (see `include.optins.sources`), or an Opener of it. The same `run_key`
    again replaces that run. `whole` reads from the beginning, and every file. Nothing is visible before the end, so a
    pull that dies anywhere leaves everything as it was. Nothing reaches a person before
    `include.subscriptions.reconcile`. Raises SourceProblem, DatabaseUnavailable, SchemaOutOfDate.
    """
    identity = {"entity": entity.name, "source": source.name, "run_key": run_key}
    opening = access.open() if isinstance(access, Opener) else nullcontext(access)
    try:
        with connect(dsn, application=f"pull {source.name}") as conn, opening as opened:
            require_current(conn)
            result = _pull(conn, entity, source, opened, identity, now, whole=whole)
    except SourceProblem as problem:
        with connect(dsn) as conn:
            queries.failed_run(conn, **identity, now=now, problem=str(problem))
        raise
    logger.info(
        "Pulled %s of %s: run %s, %s records, %s staged, %s rejected %s",
        source.name,
        entity.name,
        result.run_id,
        result.pulled,
        result.staged,
        result.rejected,
        dict(result.reasons),
    )
    return result


def _pull(
    conn: psycopg.Connection[Any],
    entity: Entity,
    source: Source,
    access: Any,
    identity: dict[str, str],
    now: datetime,
    *,
    whole: bool,
) -> PullResult:
    queries.lock_source(conn, entity=entity.name, source=source.name)
    reached = queries.watermark(conn, **identity)
    since = reached - timedelta(minutes=source.overlap_minutes) if reached and not whole else None
    queries.forget_run(conn, **identity)
    queries.forget_rejects(conn, **identity)
    run_id = queries.open_run(
        conn,
        **identity,
        since=since,
        now=now,
        collection_point=source.collection_point,
        method=source.method,
        wording_id=source.wording,
        double_opt_in=source.double_opt_in,
    )
    reasons: Counter[str] = Counter()
    shape = ShapeOfPull()
    watermark, staged = reached, 0
    module = kind(source.kind)
    if getattr(module, "READS_OWN_STORE", False):
        access = OwnStore(conn, entity.name, run_id, access)
    elif getattr(module, "REMEMBERS_FILES", False) and hasattr(access, "glob"):
        queries.forget_files(conn, **identity)
        known = [] if whole else list(queries.known_files(conn, **identity))
        stamps = {row["stamp"] for row in known} - {None}
        access = RememberedFolder(access, {row["mark"] for row in known}, stamps, now)
    with Behind() as behind:
        for frame in module.fetch(source, access, since):
            records = read_records(frame, entity, source, now=now)
            # While one frame goes to the database, the next is read: that takes a third off the time.
            behind.run(partial(_stage, conn, records, identity, run_id))
            if isinstance(access, OwnStore):
                behind.wait()  # its next frame comes over the same connection
            staged += records.staged.num_rows
            found = records.rejected.column("reason").to_pylist()
            reasons.update(found)
            shape.add(frame, rejected=found)
            watermark = max(filter(None, (watermark, records.newest)), default=None)
    rejected = reasons.total()
    contract = source.contract
    before = queries.last_shape(
        conn,
        **identity,
        whole=since is None,
        min_records=contract.min_records,
        changed_on=contract.changed_on,
    )
    check_contract(source, shape, before)
    if isinstance(access, RememberedFolder):
        queries.remember_files(conn, [{"run_id": run_id, **asdict(file)} for file in access.taken])
        queries.restamp_files(
            conn, [{**identity, **asdict(file)} for file in access.recognised if file.stamp]
        )
    queries.close_run(
        conn,
        run_id=run_id,
        watermark=watermark,
        shape=Jsonb(shape.shares()),
        pulled=staged + rejected,
        staged=staged,
        rejected=rejected,
    )
    return PullResult(
        run_id, source.name, since, watermark, staged + rejected, staged, rejected, dict(reasons)
    )


def _stage(conn: psycopg.Connection[Any], records: Records, identity: Mapping[str, str], run_id: int) -> None:
    copy_table(conn, "optin_staging", _with_run(records.staged, run_id), jsonb=["attributes"])
    copy_table(
        conn,
        "rejected_record",
        _with_run(records.rejected, run_id, entity=identity["entity"], source=identity["source"]),
    )


def _with_run(table: pa.Table, run_id: int, **more: str) -> pa.Table:
    table = table.append_column("sync_run_id", pa.array([run_id] * table.num_rows, pa.int64()))
    for name, value in more.items():
        table = table.append_column(name, pa.array([value] * table.num_rows, pa.string()))
    return table
