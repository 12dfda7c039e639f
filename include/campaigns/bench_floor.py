"""The floor under the sender: the same bodies from aiohttp and orjson to a server that answers without looking.

No database, no claim, no outcome, no judgement of the answer; client and server have a core each, as sender and
simulator have. Two programs: `python -m include.campaigns.bench_floor serve|post <port> [<messages>]`.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import aiohttp
import orjson

from include.campaigns.bench_stage import NAMESPACE, TEMPLATE, pin
from include.local import processes

BATCH = 100
CONNECTIONS = 32


def floor(messages: int, folder: Path) -> float:
    """Messages per second that leave and are answered."""
    port = processes.free_port(None)
    command = [sys.executable, "-m", "include.campaigns.bench_floor"]
    server = processes.start("bare gateway", [*command, "serve", str(port)], folder=folder)
    try:
        pin(server.popen.pid, core=1)
        processes.wait_for_port(server, port)
        arguments = [*command, "post", str(port), str(messages)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as client:  # noqa: S603 - our own program
            pin(client.pid, core=0)
            output, _ = client.communicate(timeout=300)
        return messages / float(json.loads(output))
    finally:
        server.stop()


def body(first: int, count: int) -> bytes:
    """A request of the campaign that the benchmarks send, as the gateway gets it."""
    return orjson.dumps({"messages": {"msg": [_message(number) for number in range(first, first + count)]}})


def _message(number: int) -> dict[str, Any]:
    buttons = [("SHOW", 0), ("STOP", 1)]
    return {
        "allowedChannels": ["WhatsApp"],
        "from": "0031687654321",
        "to": [{"number": f"00{32470000000 + number}"}],
        "body": {"type": "auto", "content": "Spring sale at Acme Outdoor. Reply STOP to stop."},
        "reference": f"202611c1s{number}a1",
        "richContent": {
            "conversation": [
                {
                    "template": {
                        "whatsapp": {
                            "namespace": NAMESPACE,
                            "element_name": TEMPLATE,
                            "language": {"policy": "deterministic", "code": "nl"},
                            "components": [
                                {
                                    "type": "body",
                                    "parameters": [
                                        {"type": "text", "text": f"Person {number}"},
                                        {"type": "text", "text": "SPRING26"},
                                    ],
                                },
                                *(
                                    {
                                        "type": "button",
                                        "sub_type": "quick_reply",
                                        "index": index,
                                        "parameters": [{"type": "payload", "payload": payload}],
                                    }
                                    for payload, index in buttons
                                ),
                                {
                                    "type": "button",
                                    "sub_type": "url",
                                    "index": 2,
                                    "parameters": [{"type": "text", "text": f"{number:036}"}],
                                },
                            ],
                        }
                    }
                }
            ]
        },
        "customGrouping": "campaign-1",
        "customGrouping2": "acme",
        "customGrouping3": "airflow-whatsapp",
    }


async def _post(port: int, messages: int) -> float:
    numbers = iter(range(0, messages, BATCH))
    headers = {"X-CM-PRODUCTTOKEN": "bench", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}/v1.0/message"

    async def lane(session: aiohttp.ClientSession) -> None:
        for first in numbers:
            async with session.post(url, data=body(first, min(BATCH, messages - first))) as answer:
                orjson.loads(await answer.read())

    async with aiohttp.ClientSession(headers=headers) as session:
        started = time.perf_counter()
        await asyncio.gather(*(lane(session) for _ in range(CONNECTIONS)))
        return time.perf_counter() - started


class _Answering(asyncio.Protocol):
    """One connection: reads whole requests and gives each the same answer."""

    def __init__(self) -> None:
        item = {"to": "0032470000000", "status": "Accepted", "reference": "202611c1s1a1", "parts": 1}
        item |= {"messageDetails": "", "messageErrorCode": 0}
        answer = orjson.dumps({"details": "Created", "errorCode": 0, "messages": [item] * BATCH})
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
        self._answer = head.encode() + answer
        self._received = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._received[:end]).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(self._received) < end + 4 + length:
                return
            del self._received[: end + 4 + length]
            self._transport.write(self._answer)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(_serve(int(sys.argv[2])))
    else:
        sys.stdout.write(json.dumps(asyncio.run(_post(int(sys.argv[2]), int(sys.argv[3])))) + "\n")
