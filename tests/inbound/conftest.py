"""A store for opt-ins."""

from pathlib import Path

import pytest

from tests.support.optins import Store


@pytest.fixture
def store(migrated_database: str, tmp_path: Path) -> Store:
    return Store(migrated_database, tmp_path)
