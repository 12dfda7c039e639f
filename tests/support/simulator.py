"""A real simulator for tests: its own process on a free port, and what it can be asked.

with running_simulator(speed=60) as simulator:
    post(simulator.url, ...)
    assert simulator.stats()["duplicate_recipients"] == 0
"""

from __future__ import annotations

import json
import multiprocessing.process
import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.support.forking import FORKED

TOKEN = "00000000-0000-0000-0000-000000000000"
ACCOUNT = "11111111-1111-1111-1111-111111111111"
SENDER = "0031687654321"
_FILES = ("faults", "templates", "population", "config")


class Simulator:
    """One simulator process. `options` are those of `whatsapp simulator`; files may be given as plain
    data.
    """

    def __init__(self, directory: Path, options: dict[str, Any]) -> None:
        self.directory = directory
        self.options = options
        self.url = ""
        self.process: multiprocessing.process.BaseProcess | None = None

    def start(self) -> None:
        """Start it, on the port it had before if it ran before; raises RuntimeError with its output if it
        ends.
        """
        options = {"port": 0} | self.options
        if self.url:
            options["port"] = int(self.url.rsplit(":", 1)[1])
        arguments = []
        for name, value in options.items():
            given = self._file(name, value) if name in _FILES else value
            for each in given if isinstance(given, list) else [given]:
                arguments += [f"--{name.replace('_', '-')}", str(each)]
        log = self.directory / "simulator.log"
        output, theirs = FORKED.Pipe(duplex=False)
        self.process = FORKED.Process(target=_simulate, args=(arguments, theirs, str(log)))
        self.process.start()
        theirs.close()
        with output, open(output.fileno(), closefd=False) as lines:
            line = lines.readline()
        if "listening on " not in line:
            self.process.join(10)
            raise RuntimeError(line + log.read_text())
        self.url = line.rsplit(" ", 1)[1].strip()

    def stop(self) -> None:
        """End it in an orderly way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def stats(self) -> dict[str, int]:
        return dict(self.get("/_sim/stats"))

    def faults(self, *faults: dict[str, Any]) -> list[dict[str, Any]]:
        """Set further faults; without any, clear all."""
        if not faults:
            return list(self.call("DELETE", "/_sim/faults")["faults"])
        return list(self.call("POST", "/_sim/faults", list(faults))["faults"])

    def messages(self, after: int = 0) -> list[dict[str, Any]]:
        """Every message as it arrived."""
        return self.lines(f"/_sim/messages?after={after}")

    def truth(self) -> dict[str, dict[str, Any]]:
        """State by reference."""
        return {each["reference"]: each for each in self.lines("/_sim/truth")}

    def template(self, **template: Any) -> dict[str, Any]:
        """Register a template, or change it (element_name and language name it)."""
        return dict(self.call("POST", "/_sim/templates", template))

    def account(self, **account: Any) -> dict[str, Any]:
        """Change the first account, or add one by its token: webhook_url, mo_url, senders …"""
        return dict(self.call("POST", "/_sim/accounts", account))

    def inbound(self, **writing: Any) -> dict[str, Any]:
        """A person writes: from_, text, to, payload, reference, stop."""
        return dict(
            self.call("POST", "/_sim/inbound", {key.rstrip("_"): each for key, each in writing.items()})
        )

    def reset(self) -> None:
        """Forget every message; accounts, templates and faults stay."""
        self.call("POST", "/_sim/reset")

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def lines(self, path: str) -> list[dict[str, Any]]:
        """The JSON lines of a GET."""
        with self.open("GET", path) as answer:
            return [json.loads(line) for line in answer]

    def call(self, method: str, path: str, content: Any = None) -> Any:
        """One JSON request; raises urllib.error.HTTPError for an error status."""
        body = json.dumps(content).encode() if content is not None else None
        with self.open(method, path, body) as answer:
            return json.loads(answer.read())

    def log(self, token: str = TOKEN, **query: Any) -> dict[str, Any]:
        """One page of the Transactions API, of the last and next day unless `startdate` and `enddate` are given."""
        now = datetime.now(UTC)
        dates = {"startdate": now - timedelta(days=1), "enddate": now + timedelta(days=1)}
        query = {name: moment.strftime("%Y-%m-%dT%H:%M:%S") for name, moment in dates.items()} | query
        path = f"/v1.2/transactions/?{urllib.parse.urlencode(query)}"
        with self.open("GET", path, headers={"X-CM-PRODUCTTOKEN": token}) as answer:
            return dict(json.loads(answer.read()))

    def send(self, *messages: dict[str, Any], token: str | None = TOKEN) -> tuple[int, dict[str, Any]]:
        """POST messages as one request: (HTTP status, answer)."""
        return self.post(json.dumps({"messages": {"msg": list(messages)}}).encode(), token=token)

    def post(self, body: bytes, *, token: str | None = TOKEN) -> tuple[int, dict[str, Any]]:
        """POST a raw body: (HTTP status, answer)."""
        headers = {"X-CM-PRODUCTTOKEN": token} if token else {}
        try:
            with self.open("POST", "/v1.0/message", body, headers) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def open(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> HTTPResponse:
        """One raw request; raises urllib.error.HTTPError for an error status."""
        everything = {"Content-Type": "application/json"} | (headers or {})
        request = urllib.request.Request(self.url + path, body, everything, method=method)  # noqa: S310  ours
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=60)  # noqa: S310  ours
        return answer

    def wait_until(self, condition: Any, *, seconds: float = 20.0) -> None:
        """Wait until `condition(stats)` holds; raises TimeoutError with the last stats."""
        end = time.monotonic() + seconds
        while not condition(stats := self.stats()):
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s: {stats}")
            time.sleep(0.05)

    def _file(self, name: str, value: Any) -> Any:
        if isinstance(value, str | Path):
            return value
        path = self.directory / f"{name}.json"
        path.write_text(json.dumps(value))
        return path

    def _end(self, number: int) -> None:
        if self.process is None:
            return
        if self.process.pid and self.process.is_alive():
            os.kill(self.process.pid, number)
        self.process.join(20)


def _simulate(arguments: list[str], output: Connection, log: str) -> None:
    """`whatsapp simulator`, its standard output into a pipe and its errors into a file."""
    from typer import Typer

    from include.simulator.gateway import simulator

    os.setsid()
    os.dup2(output.fileno(), sys.stdout.fileno())
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), sys.stderr.fileno())
    output.close()
    app = Typer(pretty_exceptions_enable=False)
    app.command()(simulator)
    app(arguments)


@contextmanager
def running_simulator(**options: Any) -> Iterator[Simulator]:
    """A simulator with the options of `whatsapp simulator` (port, db, rate, faults, webhook_url, token, speed
    …).

    `faults`, `templates`, `population` and `config` take a path or plain data. Stopped at the end.
    """
    with tempfile.TemporaryDirectory(prefix="simulator-") as directory:
        simulator = Simulator(Path(directory), options)
        try:
            simulator.start()
            yield simulator
        finally:
            simulator.stop()


def template_message(
    number: str = "0031612345678",
    *,
    reference: str | None = None,
    name: str = "order_update",
    language: str = "en",
    variables: tuple[str, ...] = ("Jan",),
    **fields: Any,
) -> dict[str, Any]:
    """One wire message of a WhatsApp template to one number; `fields` are further keys of it."""
    components = [{"type": "body", "parameters": [{"type": "text", "text": each} for each in variables]}]
    return {
        "allowedChannels": ["WhatsApp"],
        "from": SENDER,
        "to": [{"number": number}],
        "body": {"type": "auto", "content": "Fallback text"},
        **({"reference": reference} if reference else {}),
        "richContent": {
            "conversation": [
                {
                    "template": {
                        "whatsapp": {
                            "namespace": "11111111_2222_3333_4444_555555555555",
                            "element_name": name,
                            "language": {"policy": "deterministic", "code": language},
                            "components": components,
                        }
                    }
                }
            ]
        },
    } | fields
