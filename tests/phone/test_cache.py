"""The compiled table survives what happens to files."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import phonenumbers
import pytest

from include.phone.cache import cache_path, load_table, read_table, write_table
from include.phone.table import Table


def load_again() -> Table:
    load_table.cache_clear()
    return load_table()


@pytest.fixture
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    load_table.cache_clear()


def test_rebuilt_when_unreadable_and_then_only_read(cache_home: Path) -> None:
    path = cache_path()
    assert path.is_relative_to(cache_home)
    assert phonenumbers.__version__ in path.name
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


@pytest.mark.parametrize("kept", [0, 4, 5_000, 100_000, -1], ids="first {} bytes".format)
def test_a_damaged_file_is_no_table(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "table.npz"
    write_table(path, load_table())
    assert read_table(path) is not None
    path.write_bytes(path.read_bytes()[:kept])
    assert read_table(path) is None


@pytest.mark.parametrize("at", [100, 1_000, 200_000])
def test_a_file_with_a_wrong_byte_is_no_table(tmp_path: Path, at: int) -> None:
    path = tmp_path / "table.npz"
    write_table(path, load_table())
    stored = bytearray(path.read_bytes())
    stored[at : at + 8] = b"\xff\x00\xff\x00\xff\x00\xff\x00"
    path.write_bytes(stored)
    assert read_table(path) is None


def test_another_programs_file_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "table.npz"
    assert read_table(path) is None
    np.savez(path, steps=np.zeros(3))
    assert read_table(path) is None


def test_a_cache_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way of the directory")
    with pytest.raises(OSError, match="file"):
        write_table(tmp_path / "file" / "table.npz", load_table())
    (tmp_path / "table.npz").mkdir()
    with pytest.raises(OSError, match=r"table\.npz"):
        write_table(tmp_path / "table.npz", load_table())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "table.npz"]
