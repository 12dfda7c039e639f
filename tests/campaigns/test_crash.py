"""A sender killed before and after every commit and every request, two hundred times: nobody twice, nobody lost.

The child kills itself with SIGKILL at the n-th of its own steps, n drawn from a seed, so that every kind of step is hit
many times. A step is the moment before or after a statement, a commit or a request; nothing of the sender is replaced,
its calls are only counted. So are the requests that are under way at that moment: claimed, and not written down.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cm_com.messenger import CmComMessenger

from include.campaigns.errors import GatewayUnreachable
from include.campaigns.ledger import Ledger
from include.campaigns.sender import SendSettings, send
from include.database import connect, migrate
from include.local.postgres import embedded_postgres
from tests.support.campaigns import (
    LINK_KEY,
    acme,
    approve_templates,
    approved,
    register_templates,
    settings,
    states,
    subscribe,
)
from tests.support.forking import FORKED
from tests.support.simulator import Simulator, running_simulator

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "200"))
SEED = int(os.environ.get("CRASH_SEED", "26"))
LANES, BATCH = 8, 10
STEPS = 100


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with running_simulator(db=tmp_path / "judge.db", speed=1) as running:
        register_templates(running, acme())
        yield running


def _send(dsn: str, campaign_id: int, url: str, *, patience: float = 60.0) -> str:
    simulator = Simulator(Path(), {})
    simulator.url = url
    chosen = SendSettings(
        worker="send-0", messages_per_second=BATCH * 100, lanes=LANES, patience=patience, link_key=LINK_KEY
    )
    return send(acme(), campaign_id, lambda: CmComMessenger(settings(simulator)), chosen, dsn=dsn).ended


def _send_until_killed(dsn: str, campaign_id: int, url: str, fatal_step: int, under_way: Any) -> None:
    """`under_way` is memory that outlives this process: how many requests it has going."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == fatal_step:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(owner: type, name: str) -> None:
        original = getattr(owner, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            step()
            result = await original(*args, **kwargs)
            step()
            return result

        setattr(owner, name, call)

    claim, record, commit = Ledger.claim, Ledger.record, psycopg.Connection.commit

    async def begin(self: Ledger, messages: int) -> Any:
        under_way.value += 1
        found = await claim(self, messages)
        under_way.value -= not found.rows
        return found

    async def end(self: Ledger, *outcomes: Any) -> None:
        await record(self, *outcomes)
        under_way.value -= 1

    def commit_between(self: psycopg.Connection[Any]) -> None:
        step()
        commit(self)
        step()

    Ledger.claim, Ledger.record = begin, end  # type: ignore[method-assign,assignment]
    psycopg.Connection.commit = commit_between  # type: ignore[method-assign]
    counted(psycopg.AsyncConnection, "execute")
    counted(psycopg.AsyncTransaction, "__aexit__")
    counted(CmComMessenger, "send")
    _send(dsn, campaign_id, url)


@pytest.mark.timeout(900)
def test_killed_at_every_step_nobody_gets_two_and_nobody_is_lost(
    migrated_database: str, simulator: Simulator, tell: Callable[[str], None]
) -> None:
    dsn, people = migrated_database, 150 * ROUNDS
    approve_templates(dsn, acme())
    subscribe(dsn, people)
    plan = approved(dsn, acme())
    chance = random.Random(SEED)
    killed, under_way = 0, 0
    for number in range(ROUNDS):
        with connect(dsn) as conn:
            # A dead worker's lease is waited for (5 s); an integration of its own spares the test that wait.
            conn.execute("update campaign set connection_id = %s", (f"cm_{number}",))
        left = FORKED.Value("q", 0)
        arguments = (dsn, plan.campaign_id, simulator.url, chance.randint(1, STEPS), left)
        child = FORKED.Process(target=_send_until_killed, args=arguments)
        child.start()
        child.join(60)
        killed += child.exitcode == -signal.SIGKILL
        under_way += left.value
    with connect(dsn) as conn:
        conn.execute("update campaign set connection_id = 'cm_last'")
    before_the_end = states(dsn, plan.campaign_id)
    assert _send(dsn, plan.campaign_id, simulator.url) == "done"

    found, stats = states(dsn, plan.campaign_id), simulator.stats()
    told = f"{under_way} requests under way at a kill, {stats['accepted']} messages seen by the judge"
    tell(f"{killed} kills: {found}, {told}")
    assert killed >= ROUNDS * 0.9
    assert before_the_end.get("planned"), "the campaign ended before the kills did: give it more people"
    assert stats["duplicate_recipients"] == stats["duplicate_references"] == 0
    assert sum(found.values()) == people
    assert set(found) <= {"accepted", "uncertain"}
    assert found["accepted"] <= stats["accepted"] <= found["accepted"] + found["uncertain"]
    assert found["uncertain"] <= under_way * BATCH
    assert under_way <= killed * LANES


def test_postgresql_restarted_during_a_send_costs_no_message(tmp_path: Path, simulator: Simulator) -> None:
    with embedded_postgres(tmp_path / "pg") as server:
        dsn = server.create_database("whatsapp")
        migrate(dsn)
        approve_templates(dsn, acme())
        subscribe(dsn, 4000)
        plan = approved(dsn, acme())
        ended: list[str] = []
        sending = threading.Thread(target=lambda: ended.append(_send(dsn, plan.campaign_id, simulator.url)))
        sending.start()
        while simulator.stats()["accepted"] < 500:
            time.sleep(0.05)
        os.kill(server.process.popen.pid, signal.SIGINT)  # PostgreSQL's fast shutdown: every session is cut
        server.process.popen.wait(timeout=30)
        time.sleep(1)
        with embedded_postgres(tmp_path / "pg", port=server.port):
            sending.join(60)
            assert ended == ["done"]
            found, stats = states(dsn, plan.campaign_id), simulator.stats()
    assert sum(found.values()) == 4000
    assert stats["duplicate_recipients"] == 0
    # Answers that came while the database was away were kept and written down when it was back.
    assert found == {"accepted": 4000}
    assert stats["accepted"] == 4000


def test_a_gateway_that_goes_away_and_comes_back_during_a_send(
    migrated_database: str, simulator: Simulator
) -> None:
    dsn = migrated_database
    approve_templates(dsn, acme())
    subscribe(dsn, 3000)
    plan = approved(dsn, acme())
    outage = threading.Timer(1.0, lambda: (simulator.kill(), time.sleep(3), simulator.start()))
    outage.start()
    try:
        ended = _send(dsn, plan.campaign_id, simulator.url, patience=30)
    except GatewayUnreachable:
        ended = "unreachable"
    outage.join()
    assert ended == "done"
    found, stats = states(dsn, plan.campaign_id), simulator.stats()
    assert sum(found.values()) == 3000
    assert stats["duplicate_recipients"] == 0
    assert found["accepted"] <= stats["accepted"] <= found["accepted"] + found.get("uncertain", 0)
    assert found.get("uncertain", 0) <= LANES * BATCH


def test_an_interrupted_loop_leaves_no_claim_behind_unnoticed(
    migrated_database: str, simulator: Simulator
) -> None:
    """SIGTERM reaches a task as an exception: what was claimed and not answered is uncertain for the next try."""
    dsn = migrated_database
    approve_templates(dsn, acme())
    subscribe(dsn, 2000)
    plan = approved(dsn, acme())
    simulator.faults({"kind": "latency", "ms": 50})

    def cancel() -> None:
        for task in asyncio.all_tasks(loop[0]):
            loop[0].call_soon_threadsafe(task.cancel)

    loop: list[asyncio.AbstractEventLoop] = []
    original = asyncio.new_event_loop

    def remembered() -> asyncio.AbstractEventLoop:
        loop.append(original())
        return loop[-1]

    asyncio.events.new_event_loop = remembered  # type: ignore[assignment]
    try:
        threading.Timer(1.0, cancel).start()
        with pytest.raises((asyncio.CancelledError, KeyboardInterrupt)):
            _send(dsn, plan.campaign_id, simulator.url)
    finally:
        asyncio.events.new_event_loop = original  # type: ignore[assignment]
    simulator.faults()
    assert _send(dsn, plan.campaign_id, simulator.url) == "done"
    found, stats = states(dsn, plan.campaign_id), simulator.stats()
    assert sum(found.values()) == 2000
    assert stats["duplicate_recipients"] == 0
    assert found["accepted"] <= stats["accepted"] <= found["accepted"] + found.get("uncertain", 0)
