"""How many statuses the webhook commits, against the same server answering without a database.

The webhook has one core; PostgreSQL (as in production: fsync, synchronous commit) and the sender of the load share the
others. Every status is one for a real ledger row and is acknowledged after its commit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg

from include.database import connect, migrate
from include.local.postgres import embedded_postgres
from include.message_log.bench import fill

SECRET = "bench-secret-0123456789"  # noqa: S105  of a server that lives a minute
PATH = f"/hooks/{SECRET}/status"
CONNECTIONS = 256
BLOCK = 5_000


def webhook(seconds: float = 60.0, rows: int = 400_000) -> dict[str, Any]:
    """Statuses committed per second on one core for `seconds`, and the same server's bare answers as the baseline.

    `lost` is what was acknowledged and is not in the database; it must be 0.
    """
    with tempfile.TemporaryDirectory(prefix="whatsapp-bench-") as folder, _database(Path(folder)) as dsn:
        statuses = list(_statuses(dsn, rows))
        warm_up, bodies = Path(folder) / "warm_up", Path(folder) / "statuses"
        warm_up.write_text("\n".join([PATH, *statuses[-3 * BLOCK :]]))
        bodies.write_text("\n".join([PATH, *statuses[: -3 * BLOCK]]))
        Path(folder).chmod(0o755)
        bare_code = "from include.bench.http_load import serve_bare; serve_bare({port})"
        with _server(bare_code, dsn) as (port, _):
            baseline = _load(port, min(10.0, seconds), bodies)
        code = "from include.webhooks import serve; import os; serve(os.environ['DSN'], host='127.0.0.1', port={port})"
        with _server(code, dsn) as (port, process):
            _load(port, 1.0, warm_up)  # connections, plans, caches
            before, busy = process.memory_info().rss, sum(process.cpu_times()[:2])
            written = _events(dsn)
            found = _load(port, seconds, bodies)
            grown = process.memory_info().rss - before
            busy = sum(process.cpu_times()[:2]) - busy
        with connect(dsn) as conn:
            events = conn.execute("select count(*) as events from message_event").fetchone()
    assert events is not None  # noqa: S101  a count has a row
    return {
        "value": round(found["per_second"]),
        "unit": "statuses/s",
        "baseline": round(baseline["per_second"]),
        "ratio": round(found["per_second"] / baseline["per_second"], 3),
        "p50_ms": round(found["p50_ms"], 1),
        "p99_ms": round(found["p99_ms"], 1),
        "max_ms": round(found["max_ms"], 1),
        "seconds": round(found["seconds"], 1),
        "cpu_us_each": round(1e6 * busy / max(1, found["acknowledged"]), 1),
        "refused": found["refused"],
        "lost": found["acknowledged"] - (events["events"] - written),
        "grown_mb": round(grown / 1e6, 1),
    }


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    with embedded_postgres(folder / "postgres") as server:
        dsn = server.create_database("whatsapp")
        migrate(dsn)
        yield dsn


@contextmanager
def _server(code: str, dsn: str) -> Iterator[tuple[int, psutil.Process]]:
    port = _free_port()
    environment = {
        "WHATSAPP_WEBHOOK_SECRETS": f"acme={SECRET}",
        "WHATSAPP_SUPPRESSION_KEY": "0" * 32,
        "DSN": dsn,
    }
    process = psutil.Popen([sys.executable, "-c", code.format(port=port)], env=os.environ | environment)
    try:
        cores = sorted(os.sched_getaffinity(0))
        process.cpu_affinity(cores[:1])
        _wait_until_open(port)
        yield port, process
    finally:
        process.terminate()
        process.wait(30)


def _load(port: int, seconds: float, bodies: Path) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "include.bench.http_load",
        str(port),
        str(CONNECTIONS),
        str(seconds),
        str(bodies),
    ]
    output = subprocess.run(command, check=True, capture_output=True, timeout=seconds + 120).stdout  # noqa: S603
    result: dict[str, Any] = json.loads(output)
    return result


def _statuses(dsn: str, rows: int) -> Iterator[str]:
    """Accepted, delivered and read of each row, a few thousand rows at a time, as they come while a campaign runs."""
    with psycopg.connect(dsn) as conn:
        references = fill(conn, rows)
    received = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for start in range(0, rows, BLOCK):
        for code in "024":
            for reference in references[start : start + BLOCK]:
                status = {"code": code, "errorCode": "", "errorDescription": ""}
                fields = {
                    "received": received,
                    "to": "0032470000000",
                    "reference": reference,
                    "status": status,
                }
                yield json.dumps({"messages": {"msg": fields | {"operator": ""}}})


def _events(dsn: str) -> int:
    with connect(dsn) as conn:
        row = conn.execute("select count(*) as events from message_event").fetchone()
    return int(row["events"]) if row else 0


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _wait_until_open(port: int) -> None:
    import socket

    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")
