"""How long opt-ins take from staging to the subscription table, beside the least that any solution needs."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.compute as pc

from include.bench.memory import peak_mb
from include.database import connect, migrate, named_sql
from include.database.copy import copy_table
from include.entities import Entity
from include.entities.models import Columns, EntityFile, Source, Wording
from include.local.postgres import Postgres, embedded_postgres
from include.optins import pull
from include.phone import normalize
from include.subscriptions.reconcile import reconcile as apply

queries = named_sql(__file__, "bench.sql")

KEY = b"the key of a benchmark, of no use elsewhere"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
BEFORE, SINCE = datetime(2026, 1, 1, 10, tzinfo=UTC), datetime(2026, 3, 1, 10, tzinfo=UTC)
SCALE = float(os.environ.get("WHATSAPP_BENCH_SCALE", "1"))


def reconcile(people: int = 5_000_000, events: int = 1_000_000, rounds: int = 5) -> dict[str, Any]:
    """Seconds for `events` records, 10 % changed and 5 % new, into `people`, from binary COPY to commit.

    Ledger, source records, suppression, watermark and the clearing of staging are included. The baseline is a binary
    COPY of the same rows into an unlogged table and one MERGE with a distinct filter into a table of as many people.
    Each starts after a vacuum and a checkpoint, so that none of them writes what the one before left. The medians of
    `rounds` such pairs, each with other changes, since a machine's speed differs from one minute to the next; `ratios`
    are those of all. `rerun_rows_written` is what the last records once more write.
    """
    people, events = int(people * SCALE), int(events * SCALE)
    entity, floors, ours = bench_entity(), [], []
    with _database() as (server, dsn):
        _fill(dsn, people)
        for turn in range(rounds):
            table = _staged(people, events, turn)
            _settle(server, dsn)
            floors.append(_floor(dsn, table))
            _settle(server, dsn)
            seconds, result = _timed(dsn, entity, table)
            ours.append(seconds)
        _settle(server, dsn)
        again_seconds, again = _timed(dsn, entity, table)
    ratios = [round(floor / seconds, 2) for floor, seconds in zip(floors, ours, strict=True)]
    return {
        "value": round(median(ours), 2),
        "unit": "s",
        "baseline": round(median(floors), 2),
        "ratio": median(ratios),
        "ratios": ratios,
        "seconds": [round(seconds, 2) for seconds in ours],
        "people": people,
        "events": events,
        "rows_written": result.rows_written,
        "rerun_seconds": round(again_seconds, 2),
        "rerun_rows_written": again.rows_written,
    }


def reconcile_rerun(people: int = 1_000_000, events: int = 200_000) -> dict[str, Any]:
    """Seconds for records that are all known already, beside the first time; `rows_written` must be 0."""
    first = reconcile(people, events, rounds=1)
    return {
        "value": first["rerun_seconds"],
        "unit": "s",
        "baseline": first["value"],
        "ratio": round(first["value"] / first["rerun_seconds"], 2),
        "rows_written": first["rerun_rows_written"],
        "people": first["people"],
        "events": first["events"],
    }


def file_to_table(rows: int = 1_000_000) -> dict[str, Any]:
    """Seconds from a CSV file of `rows` people to the subscription table, into an empty database.

    The baseline is normalising the same numbers and reconciling the same records, already in staging, alone. `peak_mb`
    is the memory of the pulling process; `peak_mb_10m` the same with a file of ten times the rows, which is pulled and
    not reconciled (about 3 GB of disk, for as long as it takes).
    """
    rows = int(rows * SCALE)
    with tempfile.TemporaryDirectory(prefix="whatsapp-bench-") as folder, _database() as (_, dsn):
        small, large = Path(folder) / "small", Path(folder) / "large"
        _write_csv(small, rows)
        pulled, peak = _pull_apart(dsn, small)
        begun = time.perf_counter()
        result = apply(bench_entity(), dsn=dsn, key=KEY, now=NOW)
        reconciled = time.perf_counter() - begun
        begun = time.perf_counter()
        normalize(pd.Series(list(_numbers(rows)), dtype=pd.ArrowDtype(pa.string())), "BE")
        baseline = reconciled + time.perf_counter() - begun
        _write_csv(large, 10 * rows)
        pulled_10m, peak_10m = _pull_apart(dsn, large)
    return {
        "value": round(pulled + reconciled, 2),
        "unit": "s",
        "baseline": round(baseline, 2),
        "ratio": round(baseline / (pulled + reconciled), 2),
        "rows": rows,
        "people": result.people["new"],
        "pull_seconds": round(pulled, 2),
        "peak_mb": round(peak),
        "peak_mb_10m": round(peak_10m),
        "rows_10m": 10 * rows,
        "pull_seconds_10m": round(pulled_10m, 2),
    }


def _pull_apart(dsn: str, folder: Path) -> tuple[float, float]:
    """Pull in a process of its own; seconds of the pull, and the process's peak memory in MB."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_pull, dsn, folder).result()


def _pull(dsn: str, folder: Path) -> tuple[float, float]:
    entity = bench_entity()
    begun = time.perf_counter()
    pull(entity, entity.sources[0], folder, dsn=dsn, run_key=folder.name, now=NOW)
    seconds = time.perf_counter() - begun
    return seconds, peak_mb()


def _write_csv(folder: Path, rows: int) -> None:
    folder.mkdir()
    with (folder / "people.csv").open("w", encoding="utf-8") as file:
        file.write("id,phone,consent,changed,language,name,city\n")
        for place, number in enumerate(_numbers(rows)):
            file.write(
                f"r{place},{number},{'no' if place % 20 == 0 else 'yes'},2026-03-01T10:00:00Z,nl-BE,An,Gent\n"
            )


def _numbers(rows: int) -> Iterator[str]:
    """Mobile numbers in four ways of writing, each number once."""
    ways = ("047{} {} {} {}", "+3247{}{}{}{}", "0032 47{} {} {} {}", "047{}/{}.{}.{}")
    for place in range(rows):
        digits = f"{place:07d}"
        yield ways[place % 4].format(digits[0], digits[1:3], digits[3:5], digits[5:])


def bench_entity() -> Entity:
    """An entity with one source of CSV files."""
    columns = Columns(
        record_id="id",
        phone="phone",
        consent="consent",
        changed_at="changed",
        language="language",
        attributes={"first_name": "name", "city": "city"},
    )
    source = Source(
        name="bench",
        kind="file",
        columns=columns,
        wording="w1",
        collection_point="a form",
        options={"pattern": "*.csv"},
    )
    settings = EntityFile(
        name="bench",
        label="Bench",
        connection="none",
        default_region="BE",
        languages=("nl", "fr", "en"),
        default_language="nl",
        time_zone="Europe/Brussels",
        wordings=(Wording(id="w1", texts={"nl": "Ja, graag."}),),
    )
    return Entity(
        folder=Path(), settings=settings, sources=(source,), templates=(), segments=(), campaigns=()
    )


@contextmanager
def _database() -> Iterator[tuple[Postgres, str]]:
    """A server of its own, gone afterwards, and a new database on it."""
    with (
        tempfile.TemporaryDirectory(prefix="whatsapp-bench-") as folder,
        # As in production: a quarter of the memory (PostgreSQL's manual, 19.4.1).
        embedded_postgres(Path(folder), settings={"shared_buffers": f"{_quarter_of_memory()}MB"}) as server,
    ):
        dsn = server.create_database("bench")
        migrate(dsn)
        yield server, dsn


def _quarter_of_memory() -> int:
    return int(psutil.virtual_memory().total / 4 / 2**20)


def _fill(dsn: str, people: int) -> None:
    with connect(dsn) as conn:
        queries.make_people(conn, entity="bench", people=people)
        queries.make_events(conn, entity="bench")
        queries.make_records(conn, entity="bench")
        queries.move_counters(conn)
        queries.make_floor(conn)
        conn.commit()
        conn.autocommit = True
        conn.execute("vacuum analyze")


def _settle(server: Postgres, dsn: str) -> None:
    """What a server does by itself within minutes."""
    with connect(dsn) as conn:
        conn.autocommit = True
        conn.execute("vacuum")
    server.checkpoint()


def _staged(people: int, events: int, turn: int) -> pa.Table:
    """Records spread over all people: 85 % as known, 10 % changed, 5 % of people who are new; others at every turn."""
    step = people // events
    number = pa.array([place * step + 1 + turn for place in range(events)], pa.int64())
    kind = pa.array([place % 20 for place in range(events)], pa.int64())
    new, changed = pc.equal(kind, 0), pc.less(kind, 3)
    number = pc.if_else(new, pc.add(number, people * (turn + 1)), number)
    digits = pc.utf8_lpad(pc.cast(number, pa.string()), 7, "0")
    phone = pc.binary_join_element_wise("+3247", digits, "")
    since = SINCE + timedelta(days=turn)
    at = pc.if_else(
        changed, pa.scalar(since, pa.timestamp("us", "UTC")), pa.scalar(BEFORE, pa.timestamp("us", "UTC"))
    )

    def same(value: str) -> pa.Array:
        return pa.array([value] * events, pa.string())

    return pa.table(
        {
            "record_id": pc.binary_join_element_wise("r", pc.cast(number, pa.string()), ""),
            "phone": phone,
            "match_key": phone,
            "country": same("BE"),
            "time_zone": same("Europe/Brussels"),
            "consent": pc.not_equal(kind, 1),
            "timed": pa.array([True] * events),
            "occurred_at": at,
            "record_at": at,
            "language": same("nl"),
            "attributes": same('{"first_name": "An", "city": "Gent"}'),
        }
    )


def _floor(dsn: str, table: pa.Table) -> float:
    with connect(dsn) as conn:
        queries.empty_floor(conn)
    begun = time.perf_counter()
    with connect(dsn) as conn:
        copy_table(conn, "floor_staging", _with_run(table, 0), jsonb=["attributes"])
        queries.merge_floor(conn)
    return time.perf_counter() - begun


def _timed(dsn: str, entity: Entity, table: pa.Table) -> tuple[float, Any]:
    begun = time.perf_counter()
    with connect(dsn) as conn:
        run = queries.open_run(conn, entity="bench", staged=table.num_rows)
        copy_table(conn, "optin_staging", _with_run(table, run), jsonb=["attributes"])
    result = apply(entity, dsn=dsn, key=KEY, now=NOW)
    return time.perf_counter() - begun, result


def _with_run(table: pa.Table, run: int) -> pa.Table:
    return table.append_column("sync_run_id", pa.array([run] * table.num_rows, pa.int64()))
