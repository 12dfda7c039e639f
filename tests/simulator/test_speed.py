"""The simulator is never the bottleneck: 5,000 messages/s on one core in batches of 100 is the least it must take.

Measured in CPU seconds of its own process, so that a busy machine does not decide.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import aiohttp
import psutil
import pytest

from tests.simulator.receiver import receiving
from tests.support.simulator import TOKEN, Simulator, running_simulator, template_message

HEADERS = {"X-CM-PRODUCTTOKEN": TOKEN, "Content-Type": "application/json"}


def bodies(count: int, size: int) -> list[bytes]:
    """`count` messages in request bodies of `size`, of a campaign's usual shape."""
    tags = {"customGrouping": "campaign-42", "customGrouping2": "batch-1", "customGrouping3": "airflow"}
    messages = [
        template_message(f"00316{number:08d}", reference=f"c42r{number:x}", validity="2h", **tags)
        for number in range(count)
    ]
    return [
        json.dumps({"messages": {"msg": messages[first : first + size]}}).encode()
        for first in range(0, count, size)
    ]


async def post_all(url: str, requests: list[bytes], workers: int = 8) -> None:
    queue = iter(requests)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:

        async def work() -> None:
            for body in queue:
                async with session.post(f"{url}/v1.0/message", data=body, headers=HEADERS) as answer:
                    assert answer.status == 200
                    await answer.read()

        await asyncio.gather(*(work() for _ in range(workers)))


def cpu_seconds(simulator: Simulator) -> float:
    assert simulator.process is not None
    times = psutil.Process(simulator.process.pid).cpu_times()
    return float(times.user + times.system)


@pytest.mark.parametrize("durable", [False, True])
def test_messages_in_batches_of_100(
    tmp_path_factory: pytest.TempPathFactory, tell: Callable[[str], None], *, durable: bool
) -> None:
    options = {"db": tmp_path_factory.mktemp("speed") / "journal.db"} if durable else {}
    requests = bodies(40_000, 100)
    with running_simulator(speed=1000, **options) as simulator:
        before = cpu_seconds(simulator)
        asyncio.run(post_all(simulator.url, requests))
        rate = 40_000 / (cpu_seconds(simulator) - before)
        assert simulator.stats()["accepted"] == 40_000
    tell(f"{rate:,.0f} messages per CPU second{' with --db' if durable else ''}")
    assert rate > 5_000


def test_pushing_statuses_is_bounded_and_keeps_up(tell: Callable[[str], None]) -> None:
    people = {
        "rules": [{"prefix": "+31", "outcome": "read", "deliver_after": 1, "read_after": 1, "reply": ""}]
    }
    with (
        receiving() as hook,
        running_simulator(
            speed=1000,
            population=people,
            config={"settings": {"webhook_concurrency": 8}},
            webhook_url=hook.url,
        ) as simulator,
    ):
        before = cpu_seconds(simulator)
        asyncio.run(post_all(simulator.url, bodies(1_000, 100)))
        simulator.wait_until(lambda stats: stats["pushed"] == 3_000, seconds=60)
        rate = 3_000 / (cpu_seconds(simulator) - before)
        assert hook.most_at_once <= 8
    tell(f"{rate:,.0f} statuses per CPU second")
    assert rate > 500
