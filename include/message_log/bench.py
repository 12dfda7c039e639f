"""How fast a message log becomes events, against a binary COPY of the same events."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec
import psutil
import psycopg

from include.database import connect, migrate
from include.entities import load_entity
from include.local.postgres import embedded_postgres
from include.message_log.pull import backfill
from include.message_log.rows import LogRow

PAGE = 1_000
MONTH = 202611


def log_ingest(rows: int = 1_000_000) -> dict[str, Any]:
    """A log of `rows` delivered messages, from its rows to events, ledger, prices and reachability.

    The baseline copies the events that came of it, binary, into an empty table of the same definition with its index.
    """
    with (
        tempfile.TemporaryDirectory(prefix="whatsapp-bench-") as folder,
        embedded_postgres(Path(folder) / "postgres") as server,
    ):
        dsn = server.create_database("whatsapp")
        migrate(dsn)
        with psycopg.connect(dsn) as conn:
            references = fill(conn, rows)
        pages = _Pages(references)
        now = datetime.now(UTC)
        started = time.perf_counter()
        result = backfill(
            load_entity("acme"), pages, dsn=dsn, now=now, start=now - timedelta(hours=1), end=now
        )
        seconds = time.perf_counter() - started
        with connect(dsn) as conn:
            copied, copy_seconds = _copy(conn)
    return {
        "value": round(rows / seconds),
        "unit": "rows/s",
        "baseline": round(copied / copy_seconds),
        "ratio": round((rows / seconds) / (copied / copy_seconds), 3),
        "seconds": round(seconds, 1),
        "rows": rows,
        "recorded": result.statuses.recorded,
        "peak_mb": round(psutil.Process().memory_info().rss / 1e6),
    }


def fill(conn: psycopg.Connection[Any], rows: int) -> list[str]:
    """People and a campaign's accepted messages to them. Returns the references."""
    conn.execute("select ensure_month(%s)", (MONTH,))
    conn.execute(
        """insert into subscription (entity, phone, match_key, status, country)
           select 'acme', '+' || 32470000000 + n, '+' || 32470000000 + n, 'subscribed', 'BE'
           from generate_series(1, %s) n""",
        (rows,),
    )
    campaign = conn.execute(
        """insert into campaign (entity, name, run_key, connection_id, month, parameters, parameters_hash, state)
           values ('acme', 'bench', 'bench', 'cm_com_acme', %s, '{}', '', 'sending') returning id""",
        (MONTH,),
    ).fetchone()
    conn.execute(
        """insert into campaign_message (month, campaign_id, subscription_id, state, country, claimed_at, accepted_at)
           select %s, %s, id, 'accepted', 'BE', now(), now() from subscription order by id""",
        (MONTH, campaign[0] if campaign else None),
    )
    conn.commit()
    conn.autocommit = True
    conn.execute("vacuum analyze")
    return [row[0] for row in conn.execute("select reference from campaign_message order by subscription_id")]


class _LogRow(msgspec.Struct, kw_only=True, gc=False):
    """A row as whoever reads CM.com's log hands it over."""

    reference: str
    created: datetime
    delivery_seconds: int = msgspec.field(name="deliverytime")
    country: str = msgspec.field(name="countryiso")
    price: Decimal
    currency: str
    sender: str | None = None
    recipient: str | None = None
    status_code: int = 2
    error_code: int | None = None
    error_description: str = ""
    text: str | None = None


class _Pages:
    """A log as text, page by page."""

    def __init__(self, references: list[str]) -> None:
        created = datetime.now(UTC).isoformat()
        row = f'"created": "{created}", "deliverytime": 3, "countryiso": "BE", "price": "0.0712", "currency": "EUR"'
        self._pages = [
            "["
            + ",".join(f'{{"reference": "{each}", {row}}}' for each in references[start : start + PAGE])
            + "]"
            for start in range(0, len(references), PAGE)
        ]
        self._read = msgspec.json.Decoder(list[_LogRow]).decode

    def iter_transactions(
        self, _start: datetime, _end: datetime, direction: Literal["out", "in"], /
    ) -> Iterator[LogRow]:
        for page in self._pages if direction == "out" else []:
            yield from self._read(page)


def _copy(conn: psycopg.Connection[Any]) -> tuple[int, float]:
    columns = "month, campaign_id, subscription_id, attempt, status, error_code, error_text, occurred_at, "
    columns += "received_raw, recorded_at, source"
    conn.execute("create table copied (like message_event including all)")
    out: Any = f"copy (select {columns} from message_event) to stdout (format binary)"  # noqa: S608
    with conn.cursor() as cursor, cursor.copy(out) as copy:
        data = list(copy)
    conn.commit()
    into: Any = f"copy copied ({columns}) from stdin (format binary)"
    started = time.perf_counter()
    with conn.cursor() as cursor:
        with cursor.copy(into) as copy:
            for piece in data:
                copy.write(piece)
        rows = cursor.rowcount
    conn.commit()
    return rows, time.perf_counter() - started
