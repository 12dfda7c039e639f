"""What we start is ended with everything it started, and nothing else is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from include.local import processes

STUBBORN = "trap '' TERM; sleep 600 & sleep 600"
STARTER = (
    "import sys, time; from pathlib import Path; from include.local import processes\n"
    "started = processes.start('stubborn', ['bash', '-c', sys.argv[2]], folder=Path(sys.argv[1]))\n"
    "print(started.popen.pid, flush=True); time.sleep(600)\n"
)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is not ours."""
    other = subprocess.Popen(["sleep", "600"])
    yield other
    other.kill()
    other.wait()


def test_stop_ends_children_that_refuse(tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    process = processes.start("stubborn", ["bash", "-c", STUBBORN], folder=tmp_path)
    family = _wait_for_family(process.popen.pid)
    assert {member.pid for member in family} == {
        member.pid for member in family if os.getpgid(member.pid) == process.popen.pid
    }
    process.stop(timeout=0.5)
    assert not [member for member in family if member.is_running()]
    assert bystander.poll() is None
    assert not process.record.exists()


def test_stop_all_waits_once(tmp_path: Path) -> None:
    running = [
        processes.start(
            f"slow{number}",
            ["bash", "-c", "trap 'sleep 1; exit' TERM; while :; do sleep 0.1; done"],
            folder=tmp_path,
        )
        for number in range(4)
    ]
    time.sleep(0.3)
    began = time.monotonic()
    processes.stop_all(running)
    assert time.monotonic() - began < 3, "four that need a second each are stopped side by side"
    assert [process.popen.returncode for process in running] == [0, 0, 0, 0]


def test_leftovers_of_a_killed_starter_are_ended(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path), STUBBORN], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    family = _wait_for_family(int(starter.stdout.readline()))
    starter.kill()
    starter.wait()
    time.sleep(0.3)
    assert family[0].is_running(), "it ignores the signal that the kernel sends when its starter dies"
    assert processes.end_leftovers(tmp_path, timeout=0.5) == ["stubborn"]
    assert not [
        member for member in family if member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    ]
    assert processes.end_leftovers(tmp_path) == []


def test_a_reused_process_id_is_left_alone(tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    run = tmp_path / "run"
    run.mkdir()
    started = psutil.Process(bystander.pid).create_time()
    record = {"pid": bystander.pid, "started": started - 3600, "signal": int(signal.SIGTERM)}
    (run / "airflow.json").write_text(json.dumps(record))
    (run / "half.json").write_text('{"pid": ')
    assert processes.end_leftovers(tmp_path) == []
    assert bystander.poll() is None
    assert list(run.iterdir()) == []


def test_a_process_that_ends_says_why(tmp_path: Path) -> None:
    process = processes.start("broken", ["bash", "-c", "echo the disk is full; exit 3"], folder=tmp_path)
    process.popen.wait()
    with pytest.raises(processes.ProcessFailed, match=r"broken ended with code 3.*\n.*the disk is full"):
        process.check()


def _wait_for_family(pid: int, members: int = 3) -> list[psutil.Process]:
    deadline = time.monotonic() + 10
    root = psutil.Process(pid)
    while len(family := [root, *root.children(recursive=True)]) < members and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(family) == members
    return family
