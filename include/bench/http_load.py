"""A generator of webhook posts for benchmarks: many connections, each waits for its answer before the next
post.

Run as a process of its own: `python -m include.bench.http_load <port> <connections> <seconds> <file>`, where
the file holds a path in its first line and one body in every further one. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop


class Sender(asyncio.Protocol):
    """One connection. Assumes what our app answers: no body, one segment."""

    def __init__(
        self, requests: Iterator[bytes], until: float, answers: Counter[int], waits: list[float]
    ) -> None:
        self._requests = requests
        self._until = until
        self._answers = answers
        self._waits = waits
        self._sent = 0.0
        self._transport: asyncio.Transport
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first post."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._next(time.perf_counter())

    def data_received(self, data: bytes) -> None:
        """Note an answer and send the next post."""
        now = time.perf_counter()
        self._answers[int(data[9:12])] += 1
        self._waits.append(now - self._sent)
        self._next(now)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The end, wanted or not."""
        if not self.done.done():
            self.done.set_result(None)

    def _next(self, now: float) -> None:
        request = next(self._requests, None) if now < self._until else None
        if request is None:
            self._transport.close()
            return
        self._sent = now
        self._transport.write(request)


async def send(port: int, connections: int, seconds: float, requests: list[bytes]) -> dict[str, float]:
    """Post until the time or the requests are over. Seconds, and posts acknowledged in them."""
    answers: Counter[int] = Counter()
    waits: list[float] = []
    started = time.perf_counter()
    each = iter(requests)
    loop = asyncio.get_running_loop()
    senders = []
    for _ in range(connections):
        _, sender = await loop.create_connection(
            lambda: Sender(each, started + seconds, answers, waits), "127.0.0.1", port
        )
        senders.append(sender.done)
    await asyncio.gather(*senders)
    elapsed = time.perf_counter() - started
    waits.sort()
    return {
        "acknowledged": answers[200],
        "refused": sum(answers.values()) - answers[200],
        "seconds": elapsed,
        "per_second": answers[200] / elapsed,
        "p50_ms": 1000 * waits[len(waits) // 2] if waits else 0.0,
        "p99_ms": 1000 * waits[int(0.99 * len(waits))] if waits else 0.0,
        "max_ms": 1000 * waits[-1] if waits else 0.0,
    }


def encode(path: str, bodies: list[bytes]) -> list[bytes]:
    """Whole requests, ready to write."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    return [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]


def serve_bare(port: int) -> None:
    """A baseline for servers on uvicorn: an app that reads the body and answers 200."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            while (await receive()).get("more_body", False):
                pass
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        access_log=False,
        log_level="warning",
        lifespan="off",
        server_header=False,
        date_header=False,
    )


def main() -> None:
    """See the module."""
    port, connections, seconds, file = (
        int(sys.argv[1]),
        int(sys.argv[2]),
        float(sys.argv[3]),
        Path(sys.argv[4]),
    )
    path, *bodies = file.read_bytes().splitlines()
    requests = encode(path.decode(), bodies)
    result = uvloop.run(send(port, connections, seconds, requests))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
