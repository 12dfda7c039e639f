"""More than usual at once: 30,000 events in a burst are all taken, and a slow database is told to no more than fits."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import aiohttp
import psutil
import pytest

from include.database import connect
from tests.message_log.ledger import add_campaign, add_messages, add_people
from tests.support.webhook import SECRET, WebhookProcess, running_webhook

PEOPLE = 10_000
IN_A_POST = 10


@pytest.fixture(scope="module")
def burst(postgres: Any, migrated_template: str) -> Iterator[tuple[str, WebhookProcess, list[str]]]:
    dsn = postgres.create_database("burst", template=migrated_template)
    with connect(dsn) as conn:
        references = add_messages(conn, add_campaign(conn), add_people(conn, PEOPLE))
        conn.commit()
    with running_webhook(dsn) as webhook:
        yield dsn, webhook, references
    postgres.drop_database("burst")


def posts_of(references: list[str], codes: str, size: int) -> list[bytes]:
    """Statuses of each code for each message, `size` of them in a post."""
    reports = [
        {"received": "2026-11-22T10:00:05", "reference": each, "status": {"code": code}}
        for code in codes
        for each in references
    ]
    return [
        json.dumps({"messages": {"msg": reports[start : start + size]}}).encode()
        for start in range(0, len(reports), size)
    ]


async def send(
    webhook: WebhookProcess, bodies: list[bytes], *, again: bool, connections: int = 64
) -> Counter[int]:
    """Post everything at once, and what is refused again until it is taken; counts the answers."""
    waiting, answers = list(bodies), Counter[int]()
    url = f"http://127.0.0.1:{webhook.port}/{SECRET}/status"

    async def work(session: aiohttp.ClientSession) -> None:
        while waiting:
            body = waiting.pop()
            async with session.post(url, data=body) as answer:
                answers[answer.status] += 1
                if answer.status == 503 and again:
                    waiting.insert(0, body)
                    await asyncio.sleep(0.1)

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
        await asyncio.gather(*(work(session) for _ in range(connections)))
    return answers


def test_a_burst_of_thirty_thousand_events_is_taken_whole(
    burst: tuple[str, WebhookProcess, list[str]],
) -> None:
    dsn, webhook, references = burst
    bodies = posts_of(references, "024", IN_A_POST)
    started = time.monotonic()
    answers = asyncio.run(send(webhook, bodies, again=True))
    seconds = time.monotonic() - started
    assert answers[200] == len(bodies) == 3_000
    assert set(answers) <= {200, 503}
    with connect(dsn) as conn:
        events = conn.execute("select count(*) as n from message_event").fetchone()
        states = conn.execute("select state, count(*) as n from campaign_message group by state").fetchall()
    assert events == {"n": 30_000}, f"in {seconds:.1f} s"
    assert states == [{"state": "read", "n": PEOPLE}]


def test_while_the_database_is_slow_memory_does_not_grow(
    burst: tuple[str, WebhookProcess, list[str]],
) -> None:
    dsn, webhook, references = burst
    process = psutil.Process(webhook.process.pid)
    before = process.memory_info().rss
    bodies = posts_of(references[:2_000], "3" * 60, 2_000)  # 120,000 rows; at most 50,000 may wait

    async def flood(conn: Any) -> tuple[Counter[int], int]:
        sending = asyncio.create_task(send(webhook, bodies, again=False, connections=len(bodies)))
        await asyncio.sleep(6)
        grown = process.memory_info().rss - before
        conn.rollback()
        return await sending, grown

    with connect(dsn) as conn:
        conn.execute("select from campaign_message for update")  # the writer has to wait
        answers, grown = asyncio.run(flood(conn))
    assert answers[503] >= 20, "those beyond what may wait are told to come again"
    assert answers[200] >= 10, "and those that waited are taken when the database answers"
    assert grown < 300e6
    assert webhook.get(f"/{SECRET}/health") == 200
