"""The compiled table survives what happens to files."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import phonenumbers
import pytest

from include.phone.cache import cache_path, load_table
from include.phone.table import Table


def load_again() -> Table:
    load_table.cache_clear()
    return load_table()


@pytest.fixture
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    load_table.cache_clear()


def test_built_once_then_read_and_rebuilt_when_unreadable(cache_home: Path) -> None:
    path = cache_path()
    assert path.is_relative_to(cache_home) and phonenumbers.__version__ in path.name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK\x03\x04 half a file")
    built = load_again()
    assert [file.name for file in path.parent.iterdir()] == [path.name], "nothing half-written is left"
    modified = path.stat().st_mtime_ns
    read = load_again()
    assert path.stat().st_mtime_ns == modified
    for field in fields(Table):
        assert np.array_equal(getattr(built, field.name), getattr(read, field.name)), field.name
    assert path.stat().st_size < 1_000_000
    for damage in (b"", path.read_bytes()[:5000], b"not a zip file"):
        path.write_bytes(damage)
        from include.phone.cache import _read

        assert _read(path) is None, damage[:20]


def test_a_cache_that_cannot_be_written_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way of the directory")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(load_again().regions) == 1 + len(phonenumbers.SUPPORTED_REGIONS)
    load_table.cache_clear()
