"""Withdrawals back to the sources that still say yes: at least once each, repeated until the source has taken it."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime
from typing import Any

import psycopg

from include.database import connect, named_sql, require_current
from include.entities import Entity, Source
from include.optins.sources import OptOut, Told, kind, teller

logger = logging.getLogger(__name__)
queries = named_sql(__file__, "outbox.sql")

BATCH = 200
MOST_ATTEMPTS = 12  # with the waits of `settle` about two days


def propagate(entity: Entity, source: Source, access: Any, *, dsn: str, now: datetime) -> dict[str, int]:
    """Tell one source every opt-out that is due. `access` is what the source's kind wants.

    Returns counts: `done`, `failed` (tried again later), `given_up`, and `due`, what is left. A batch is committed when
    the source has taken it, so a crash between the two tells it twice: the source's statement must allow that. Raises
    SourceProblem when the source as a whole cannot be told; what it had taken by then is kept.
    """
    counts: Counter[str] = Counter({"done": 0, "failed": 0, "given_up": 0})
    tell = teller(source)
    batch = getattr(kind(source.kind), "BATCH", BATCH)
    with connect(dsn, application=f"propagate {source.name}") as conn:
        require_current(conn)
        while claimed := list(
            queries.claim(conn, entity=entity.name, source=source.name, now=now, most=batch)
        ):
            told = tell(
                source, access, [OptOut(row["source_record_id"], row["occurred_at"]) for row in claimed], now
            )
            counts.update(_settle(conn, claimed, told, now))
            conn.commit()
        left = queries.backlog(conn, entity=entity.name, source=source.name)
    logger.info("Told %s of %s: %s, %s left", source.name, entity.name, dict(counts), left["due"])
    return {**counts, "due": left["due"]}


def _settle(
    conn: psycopg.Connection[Any], claimed: list[dict[str, Any]], told: list[Told], now: datetime
) -> Counter[str]:
    finals = [
        each.final or row["attempts"] + 1 >= MOST_ATTEMPTS for row, each in zip(claimed, told, strict=True)
    ]
    queries.settle(
        conn,
        ids=[row["id"] for row in claimed],
        problems=[each.problem for each in told],
        finals=finals,
        now=now,
    )
    return Counter(
        "done" if each.problem is None else "given_up" if final else "failed"
        for each, final in zip(told, finals, strict=True)
    )
