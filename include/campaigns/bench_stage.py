"""What benchmarks of planning and sending stand on: PostgreSQL as in production, the simulator, people, senders.

Each is a process of its own. The simulator has one core, the senders have the other; PostgreSQL takes either.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

import httpx
import numpy as np
import psutil
import psycopg

from include.campaigns.parameters import freeze
from include.campaigns.plan import Plan, plan_campaign
from include.campaigns.states import approve
from include.campaigns.templates import sync_templates
from include.database import migrate
from include.entities import load_entity
from include.local import processes
from include.local.postgres import embedded_postgres

ENTITY = "acme"
TEMPLATE = "spring_sale"
NAMESPACE = "5ba9ad1e_4ac2_4d0c_9d1e_7f1d5c0a9b11"
# The process that sends is put together here, since `include` knows no gateway.
WORKER = """
from types import SimpleNamespace
from cm_com.messenger import CmComMessenger
from cm_com.settings import read_settings
from include.campaigns.bench_worker import work

connection = SimpleNamespace(
    conn_id="cm_com_acme", host={url!r}, schema=None, port=None, password="00000000-0000-0000-0000-000000000000",
    extra_dejson={{"account_id": "11111111-1111-1111-1111-111111111111", "channel_id": "bench",
                  "sender": "+31687654321"}})
work(lambda: CmComMessenger(read_settings(connection)))
"""

PEOPLE = """
    insert into subscription (entity, phone, match_key, person_hash, status, status_at, language, country, time_zone,
                              reachability, attributes, consent_event_id)
    select %(entity)s, '+' || 32470000000 + n, '+' || 32470000000 + n, sha256(n::text::bytea),
           case when n %% 100 >= %(refused)s or n %% 4 > 1 then 'subscribed'
                when n %% 4 = 0 then 'unsubscribed' else 'unknown' end,
           now(), (array['nl', 'fr', 'en', 'de'])[1 + n / 4 %% 4], 'BE', 'Europe/Brussels',
           case when n %% 100 < %(refused)s and n %% 4 = 2 then 'unreachable' else 'unknown' end,
           jsonb_build_object('first_name', 'Person ' || n, 'city', 'Gent', 'tier', n %% 5), n
    from generate_series(1, %(people)s) n"""
GRANTS = """
    insert into consent_event (subscription_id, action, occurred_at, source, source_record_id, collection_point, method,
                               wording_id, wording_language)
    select id, 'grant', now(), 'webshop', 'r' || id, 'checkout', 'checkbox', 'signup-2026-01', 'en'
    from subscription order by id"""
SUPPRESSIONS = """
    insert into suppression (entity, person_hash, reason, source)
    select entity, person_hash, 'opted_out', 'bench' from subscription
    where entity = %(entity)s and id %% 100 < %(refused)s and id %% 4 = 3"""


@dataclass(frozen=True)
class Stage:
    """A database with people, and a simulator's address."""

    dsn: str
    url: str
    folder: Path

    def stats(self) -> dict[str, int]:
        """What the simulator's judge has seen."""
        found: dict[str, int] = httpx.get(f"{self.url}/_sim/stats", timeout=60).json()
        return found

    def slow_down(self, milliseconds: float, jitter: float) -> None:
        """Let every answer take this long."""
        fault = {"kind": "latency", "ms": milliseconds, "jitter_ms": jitter}
        httpx.post(f"{self.url}/_sim/faults", json=fault, timeout=60).raise_for_status()

    def reset(self) -> None:
        """Let the simulator forget what it has seen."""
        httpx.post(f"{self.url}/_sim/reset", timeout=60).raise_for_status()


@contextmanager
def database() -> Iterator[tuple[str, Path]]:
    """PostgreSQL with its own settings of production (fsync, synchronous commit): a dsn, and a folder for more."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="whatsapp-bench-")))
        server = stack.enter_context(embedded_postgres(folder / "postgres"))
        dsn = server.create_database("whatsapp")
        migrate(dsn)
        sync_templates(load_entity(ENTITY), None, dsn=dsn, now=datetime.now(UTC))
        yield dsn, folder


@contextmanager
def stage(people: int) -> Iterator[Stage]:
    """Everything started, with `people` subscribed; ended and removed afterwards."""
    with database() as (dsn, folder):
        subscribe(dsn, people)
        with _simulator(folder) as url:
            yield Stage(dsn, url, folder)


def subscribe(dsn: str, people: int, *, refused_percent: int = 0) -> None:
    """People of four languages, each with the grant that allows it. Of every hundred, `refused_percent` are of those
    whom a plan leaves out: unsubscribed, never asked, suppressed or unreachable, in equal parts.
    """
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(PEOPLE, {"entity": ENTITY, "people": people, "refused": refused_percent})
        conn.execute(GRANTS)
        conn.execute(SUPPRESSIONS, {"entity": ENTITY, "refused": refused_percent})
        conn.execute("vacuum (analyze)")


def planned_campaign(dsn: str, run_key: str, **choices: Any) -> Plan:
    """A planned campaign to everybody, by the product's own way."""
    entity = load_entity(ENTITY)
    raw = {
        "name": f"Bench {run_key}",
        "template": TEMPLATE,
        "dry_run": False,
        "max_messages_per_week": 50,
        **choices,
    }
    return plan_campaign(
        entity,
        freeze(entity, raw),
        dsn=dsn,
        run_key=run_key,
        connection_id=entity.settings.connection,
        now=datetime.now(UTC),
    )


def approved_campaign(dsn: str, run_key: str, **choices: Any) -> Plan:
    """The same, approved."""
    plan, now = planned_campaign(dsn, run_key, **choices), datetime.now(UTC)
    approve(dsn=dsn, campaign_id=plan.campaign_id, plan_hash=plan.plan_hash, approved_by="bench", now=now)
    return plan


@contextmanager
def _simulator(folder: Path) -> Iterator[str]:
    config = folder / "simulator.json"
    config.write_text(json.dumps({"settings": {"keep_bodies": False}}))
    port = processes.free_port(None)
    command = [
        sys.executable,
        "-m",
        "include.simulator.gateway",
        "--port",
        str(port),
        "--config",
        str(config),
    ]
    process = processes.start("simulator", command, folder=folder)
    try:
        pin(process.popen.pid, core=1)
        processes.wait_for_port(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stop()


def senders(stage: Stage, tasks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run a sender process for each task (campaign_id, settings) side by side; what each of them reported."""
    running = [_sender(stage, task) for task in tasks]
    for _, _, output in running:
        output.readline()  # it has imported what it needs
    for _, orders, _ in running:
        orders.write("\n")
        orders.flush()
    reports = [json.loads(output.readline() or "{}") for _, _, output in running]
    for process, orders, output in running:
        orders.close()
        output.close()
        process.wait(60)
    return reports


def _sender(stage: Stage, task: dict[str, Any]) -> tuple[subprocess.Popen[str], IO[str], IO[str]]:
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", WORKER.format(url=stage.url)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pin(process.pid, core=0)
    orders, output = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
    orders.write(json.dumps({"entity": ENTITY, "dsn": stage.dsn, **task}) + "\n")
    orders.flush()
    return process, orders, output


def most_in_a_second(departures: list[tuple[float, int]]) -> int:
    """The most messages that left within any second [t, t + 1)."""
    departures = sorted(departures)
    times = np.array([at for at, _ in departures])
    total = np.concatenate([[0], np.cumsum([messages for _, messages in departures])])
    return int((total[np.searchsorted(times, times + 1.0, side="left")] - total[:-1]).max())


def pin(pid: int, *, core: int) -> None:
    """Keep a process on one core, where the machine has several and the system allows it."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        psutil.Process(pid).cpu_affinity([cores[core % len(cores)]])
