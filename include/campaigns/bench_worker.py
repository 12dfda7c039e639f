"""One sender as a process of its own, as benchmarks need it: what it did, its memory and its CPU time, as JSON.

The messenger comes from outside, as it does from the Dag: `include` knows no gateway.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil

from include.bench.memory import peak_mb
from include.campaigns.messenger import Outgoing
from include.campaigns.sender import SendSettings, send
from include.entities import load_entity


class Watched:
    """A messenger whose requests are remembered: when each left, by this process's monotonic clock, and how large."""

    def __init__(self, messenger: Any, departures: list[tuple[float, int]]) -> None:
        self._messenger = messenger
        self._departures = departures
        self.batch_size: int = messenger.batch_size

    async def __aenter__(self) -> Watched:
        await self._messenger.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._messenger.__aexit__(*error)

    def encode(self, message: Outgoing) -> bytes:
        """See Messenger."""
        return self._messenger.encode(message)  # type: ignore[no-any-return]

    async def send(self, messages: list[bytes]) -> Any:
        """See Messenger."""
        delivery = await self._messenger.send(messages)
        if delivery.left_at is not None:
            self._departures.append((delivery.left_at, len(messages)))
        return delivery


def work(messenger: Callable[[], Any]) -> None:
    """Send what standard input says, when it says so, and print what came of it.

    In: one line of JSON (entity, campaign_id, dsn, and the fields of SendSettings), then one empty line as the
    starting signal. Out: one line when ready, one line of JSON at the end.
    """
    task = json.loads(sys.stdin.readline())
    entity = load_entity(task["entity"])
    # The sample's template has a button whose clicks are counted: a link is made for each person.
    settings = SendSettings(**task["settings"], link_key=bytes(32))
    departures: list[tuple[float, int]] = []
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    process = psutil.Process()
    busy = sum(process.cpu_times()[:2])
    begun = time.monotonic()
    report = send(
        entity, task["campaign_id"], lambda: Watched(messenger(), departures), settings, dsn=task["dsn"]
    )
    result = {
        "ended": report.ended,
        "counts": dict(report.counts),
        "begun": begun,
        "ended_at": time.monotonic(),
        "cpu_seconds": sum(process.cpu_times()[:2]) - busy,
        "peak_mb": peak_mb(),
        "departures": departures,
    }
    sys.stdout.write(json.dumps(result) + "\n")
