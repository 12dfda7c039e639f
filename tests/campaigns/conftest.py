"""A company whose templates are approved, and a gateway that knows them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.campaigns import acme, approve_templates, register_templates
from tests.support.simulator import Simulator, running_simulator


@pytest.fixture
def dsn(migrated_database: str) -> str:
    """A database in which every template is approved."""
    approve_templates(migrated_database, acme())
    return migrated_database


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """CM.com, at the pace of a clock."""
    with running_simulator(speed=1) as running:
        register_templates(running, acme())
        yield running
