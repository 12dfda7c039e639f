"""A real `make demo` for the tests that need Airflow: one a session, with its campaign sent and reported."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from include.local.api import AirflowApi
from include.local.processes import free_port

STOP_TIMEOUT = 60.0
LAST_LINE = "Ctrl-C stops everything"


@dataclass
class RunningDemo:
    """The demo's process, what it printed, and where its parts are.

    Users: admin, engineer, marketer, approver, analyst.
    """

    folder: Path
    process: subprocess.Popen[str]
    variables: dict[str, str] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)
    seconds: float = 0.0  # from the start until it was up
    url: str = ""
    password: str = ""
    simulator: str = ""
    dsn: str = ""

    def api(self, user: str = "admin") -> AirflowApi:
        """Airflow's REST API as one of the users."""
        return AirflowApi(self.url, user, self.password)

    def wait(self) -> None:
        """Read its output until it is up; pytest fails with the output if it ends instead."""
        began = time.monotonic()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line.rstrip("\n"))
            if LAST_LINE in line:
                break
        else:
            pytest.fail("the demo ended:\n" + "\n".join(self.output))
        self.seconds = time.monotonic() - began
        known = json.loads((self.folder / "demo.json").read_text())
        self.url, self.password = known["airflow"], known["password"]
        self.simulator, self.dsn = known["simulator"], known["database"]

    def kill_and_restart(self) -> None:
        """Kill the demo as a crash would and start it again in its folder."""
        self.process.kill()
        self.process.wait()
        again = start_demo(self.folder, **self.variables)
        again.wait()
        self.__dict__.update(again.__dict__)

    def stop(self) -> list[psutil.Process]:
        """Press Ctrl-C; return what is still running of all that it had started."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        assert self.process.stdout is not None
        self.output += self.process.stdout.read().splitlines()
        self.process.wait(STOP_TIMEOUT)
        return [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def start_demo(folder: Path, *arguments: str, **variables: str) -> RunningDemo:
    """Start the demo in ``folder`` with these environment variables; `RunningDemo.wait` waits for it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "include.local.demo", *arguments],
        env={**os.environ, "WHATSAPP_HOME": str(folder), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    return RunningDemo(folder, process, variables)


@pytest.fixture(scope="session")
def demo() -> Iterator[RunningDemo]:
    """The demo of this test session; ended with it."""
    folder = Path(tempfile.mkdtemp(prefix="whatsapp-demo-"))
    # A port of its own: another demo that starts at the same moment would choose 8080, too.
    # The password is one of the many that a command line could take for an option.
    running = start_demo(
        folder,
        WHATSAPP_DEMO_PEOPLE="2000",
        AIRFLOW_PORT=str(free_port()),
        WHATSAPP_DEMO_PASSWORD=f"-{secrets.token_urlsafe(9)}",
    )
    try:
        running.wait()
        yield running
        assert running.stop() == [], "it left processes behind"
        assert running.process.returncode == 0, "Ctrl-C is how it ends"
    finally:
        if running.process.poll() is None:
            running.stop()
        shutil.rmtree(folder, ignore_errors=True)
