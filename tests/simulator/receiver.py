"""A customer's webhook: a real HTTP server that keeps what it is sent and answers as a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """What arrived, in order, and the status that the next requests get."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.refuse_next = 0
        self.bodies: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.most_at_once = 0
        self.at_once = 0
        self.lock = threading.Lock()

    def statuses(self, reference: str) -> list[str]:
        """Status codes pushed for a reference, in the order of arrival."""
        messages = [body["messages"]["msg"] for body in self.bodies if "messages" in body]
        return [each["status"]["code"] for each in messages if each["reference"] == reference]

    def replies(self) -> list[dict[str, Any]]:
        return [body for body in self.bodies if "messages" not in body]

    def wait(self, condition: Callable[[Receiver], bool], *, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition(self):
            assert time.monotonic() < end, f"not within {seconds} s; {len(self.bodies)} bodies arrived"
            time.sleep(0.02)


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver that listens on a port, by default a free one."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with receiver.lock:
                receiver.at_once += 1
                receiver.most_at_once = max(receiver.most_at_once, receiver.at_once)
                refused = receiver.refuse_next > 0
                receiver.refuse_next -= refused
                (receiver.refused if refused else receiver.bodies).append(body)
            with receiver.lock:
                receiver.at_once -= 1
            self.send_response(503 if refused else receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing on the console."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
