"""The real webhook process for tests, on a free port."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

SECRET = "acme-secret-0123456789"
KEY = "0123456789abcdef0123456789abcdef"


class WebhookProcess:
    """One `whatsapp webhook`. `post` and `get` answer the HTTP status."""

    def __init__(self, dsn: str, port: int, **environment: str) -> None:
        self.port = port
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by `stop`
        code = f"from include.webhooks import serve; serve({dsn!r}, host='127.0.0.1', port={port})"
        settings = {
            "WHATSAPP_WEBHOOK_SECRETS": f"acme={SECRET}",
            "WHATSAPP_SUPPRESSION_KEY": KEY,
        } | environment
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | settings,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/{SECRET}"

    def wait_ready(self) -> None:
        for _ in range(1200):
            try:
                if self.get("/health") == 200:
                    return
            except OSError:
                if self.process.poll() is not None:
                    break
            time.sleep(0.1)
        raise RuntimeError(self.output())

    def output(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def get(self, path: str) -> int:
        return self._request("GET", path)

    def post(self, body: bytes | str, path: str = f"/hooks/{SECRET}/status") -> int:
        return self._request("POST", path, body)

    def kill(self) -> None:
        """As a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(40)
        self.log.close()

    def _request(self, method: str, path: str, body: bytes | str | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            content = answer.read()
            assert content == b"", "nothing is said but the status"
            return answer.status
        finally:
            connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running_webhook(dsn: str, port: int | None = None, **environment: str) -> Iterator[WebhookProcess]:
    """A webhook process; `environment` adds to and replaces its settings."""
    webhook = WebhookProcess(dsn, port or free_port(), **environment)
    try:
        webhook.wait_ready()
        yield webhook
    finally:
        webhook.stop()
