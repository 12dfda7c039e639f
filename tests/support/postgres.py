"""Fixtures on a real PostgreSQL: one server a session, one database a test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.local.postgres import Postgres, embedded_postgres

TEMPLATE = "template_migrated"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server of this test session, gone with it. No fsync: the tests kill processes, not the machine."""
    directory = Path(tempfile.mkdtemp(prefix="whatsapp-tests-"))
    try:
        with embedded_postgres(directory, settings={"fsync": "off", "full_page_writes": "off"}) as server:
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The dsn of an empty database, dropped after the test."""
    yield from _database(postgres, template=None)


@pytest.fixture
def migrated_database(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    """The dsn of a database with the newest schema, dropped after the test."""
    yield from _database(postgres, template=migrated_template)


@pytest.fixture(scope="session")
def migrated_template(postgres: Postgres) -> str:
    """The name of a database that was migrated once, to copy from; nobody connects to it."""
    from include.database import migrate

    migrate(postgres.create_database(TEMPLATE))
    return TEMPLATE


def _database(postgres: Postgres, *, template: str | None) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    try:
        yield postgres.create_database(name, template=template)
    finally:
        postgres.drop_database(name)
