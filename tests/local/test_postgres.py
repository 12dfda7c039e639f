"""The embedded PostgreSQL: as root, from scratch, again, after kill -9, beside another one."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from include.local.postgres import embedded_postgres
from include.local.processes import wait_until_gone


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user may reach (pytest's own are closed to others)."""
    with tempfile.TemporaryDirectory(prefix="whatsapp-pg-") as name:
        yield Path(name)


def test_data_survive_a_restart(folder: Path) -> None:
    with embedded_postgres(folder) as first:
        with psycopg.connect(first.create_database("shop")) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        pid = first.process.popen.pid
    assert not psutil.pid_exists(pid), "the server is still running"
    with embedded_postgres(folder) as second, psycopg.connect(second.dsn("shop")) as connection:
        assert second.port == first.port
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_runs_unprivileged_with_a_password_of_its_own(folder: Path) -> None:
    with embedded_postgres(folder) as server:
        assert psutil.Process(server.process.popen.pid).uids().effective != 0
        assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
        assert server.password not in repr(server)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.dsn("postgres").replace(server.password, "guess"), connect_timeout=5)
        with psycopg.connect(server.dsn("postgres")) as connection:
            assert connection.execute("SHOW is_superuser").fetchone() == ("off",)
        assert server.password not in server.process.log.read_text()


def test_two_servers_and_a_taken_port(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            embedded_postgres(folder / "one", port=port) as one,
            embedded_postgres(folder / "two", port=one.port) as two,
        ):
            assert len({port, one.port, two.port}) == 3
            for server in (one, two):
                psycopg.connect(server.dsn("postgres"), connect_timeout=5).close()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_ends_with_its_killed_starter(folder: Path) -> None:
    starter, pid = _starter(folder)
    starter.kill()
    starter.wait()
    assert wait_until_gone(pid, timeout=15), "the server outlived the process that started it"
    with embedded_postgres(folder):
        pass


def test_a_killed_server_recovers(folder: Path) -> None:
    with embedded_postgres(folder) as server:
        dsn = server.create_database("shop")
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        os.kill(server.process.popen.pid, signal.SIGKILL)
        server.process.popen.wait()
    with embedded_postgres(folder) as server, psycopg.connect(server.dsn("shop")) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def _starter(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """Another Python process that runs a server in ``folder``; and the server's pid."""
    program = (
        "import sys, time; from pathlib import Path; from include.local.postgres import embedded_postgres\n"
        "with embedded_postgres(Path(sys.argv[1])) as server:\n"
        "    print(server.process.popen.pid, flush=True); time.sleep(600)\n"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    return starter, int(starter.stdout.readline())
