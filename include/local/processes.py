"""Start a process in a group of its own, remember it on disk, and end it with everything it started.

Every process gets a session (and so a process group) of its own. What was started is written to
``<folder>/run/<name>.json`` with the moment it started: a demo ended with ``kill -9`` leaves those files
behind, and the next start ends exactly those processes (`end_leftovers`), never one that got the same
number later.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

# Seconds. psutil derives the start time from the boot time, which moves when the clock is corrected.
STARTED_TOLERANCE = 2.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class ProcessFailed(RuntimeError):
    """A process of ours ended by itself or never became ready; the message ends with its log."""


@dataclass
class Process:
    """A running process: its name, its log file, and the file that remembers it."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    record: Path
    stop_signal: signal.Signals

    def check(self) -> None:
        """Raise `ProcessFailed` if the process has ended."""
        code = self.popen.poll()
        if code is not None:
            raise ProcessFailed(
                f"{self.name} ended with code {code}. Last lines of {self.log}:\n{tail(self.log)}"
            )

    def stop(self, *, timeout: float = 15.0) -> None:
        """End the process and everything it started; SIGKILL for what is left after ``timeout`` seconds."""
        _end(_family(self.popen.pid), self.stop_signal, timeout=timeout)
        self.popen.wait()
        self.record.unlink(missing_ok=True)


def start(
    name: str,
    command: Sequence[str | Path],
    *,
    folder: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: int | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Process:
    """Start ``command`` in its own process group, its output appended to ``folder/logs/<name>.log``.

    ``user`` is the numeric id to run as (root only). ``stop_signal`` goes to the process at `Process.stop`,
    and on Linux also when the process that called `start` dies without having stopped it.
    """
    log = folder / "logs" / f"{name}.log"
    record = folder / "run" / f"{name}.json"
    log.parent.mkdir(parents=True, exist_ok=True)
    record.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        popen = subprocess.Popen(  # noqa: S603 - the commands are ours
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            start_new_session=True,
            preexec_fn=_die_with_parent(stop_signal),  # noqa: PLW1509 - one system call
        )
    started = psutil.Process(popen.pid).create_time()
    record.write_text(json.dumps({"pid": popen.pid, "started": started, "signal": int(stop_signal)}))
    return Process(name, popen, log, record, stop_signal)


def stop_all(running: Sequence[Process], *, timeout: float = 12.0) -> None:
    """End several at the same time: each gets its signal first, then all are waited for."""
    families = [_family(process.popen.pid) for process in running]
    for process, family in zip(running, families, strict=True):
        _signal(family[:1], process.stop_signal)
    everyone = [member for family in families for member in family]
    _, alive = psutil.wait_procs(everyone, timeout=timeout)
    _signal(alive, signal.SIGKILL)
    for process in running:
        process.stop(timeout=1)  # reaps it, and ends what it started after the first look


def end_leftovers(folder: Path, *, timeout: float = 15.0) -> list[str]:
    """End what an earlier run in ``folder`` started and did not stop; return the names of what still ran."""
    ended = []
    for record in sorted((folder / "run").glob("*.json")):
        try:
            known = json.loads(record.read_text())
        except (
            ValueError
        ):  # killed while it wrote the file: the process is then a direct child that died with it
            record.unlink()
            continue
        if _is_same(known["pid"], known["started"]):
            _end(_family(known["pid"]), signal.Signals(known["signal"]), timeout=timeout)
            ended.append(record.stem)
        record.unlink()
    return ended


def free_port(preferred: int | None = None) -> int:
    """A TCP port on 127.0.0.1 that nothing listens on: ``preferred`` if it is free."""
    for port in [preferred, 0] if preferred else [0]:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free TCP port on 127.0.0.1")


def wait_for_port(process: Process, port: int, *, timeout: float = 60.0) -> None:
    """Wait until something accepts connections on the port; raise `ProcessFailed` if the process ends before."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        process.check()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise ProcessFailed(f"{process.name} did not listen on port {port} within {timeout:.0f} s")


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log file, or a note that there is none."""
    if not log.exists():
        return "(no log was written)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _is_same(pid: int, started: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - started) <= STARTED_TOLERANCE
    except psutil.NoSuchProcess:
        return False


def _family(pid: int) -> list[psutil.Process]:
    """The process and its descendants, and whatever else is left in their process groups."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    # A child whose parent has died hangs off init, but keeps the session that `start` made.
    known = {process.pid for process in family}
    for process in psutil.process_iter():
        if process.pid not in known and _session(process.pid) == pid:
            family.append(process)
    return family


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _end(family: list[psutil.Process], stop_signal: signal.Signals, *, timeout: float) -> None:
    if not family:
        return
    _signal(family[:1], stop_signal)  # the head first: it ends its children in its own order
    _, alive = psutil.wait_procs(family, timeout=timeout)
    _signal(alive, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=5)


def _signal(processes: list[psutil.Process], what: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(what)
        except psutil.NoSuchProcess:
            continue


def _die_with_parent(stop_signal: signal.Signals) -> Callable[[], None] | None:
    """On Linux the kernel sends ``stop_signal`` when the starter dies, however it dies."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # loaded before the fork: after it only calls are safe

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(stop_signal))

    return ask_kernel


def wait_until_gone(pid: int, *, timeout: float) -> bool:
    """Whether the process has gone within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid):
            return True
        time.sleep(0.05)
    return False
