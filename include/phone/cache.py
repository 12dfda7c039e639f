"""Keep the compiled table between processes."""

import contextlib
import os
import sys
import tempfile
import zipfile
import zlib
from dataclasses import fields
from functools import cache
from pathlib import Path

import numpy as np
import phonenumbers

from include.phone.table import Table, build_table

FORMAT = 1
"""To be raised when the meaning of the table changes; phonenumbers' version is in the name as well."""


@cache
def load_table() -> Table:
    """The table of the installed phonenumbers: from this process, from the cache directory, or built.

    A file that is missing, unreadable or not ours is built anew; a cache that cannot be written does not matter.
    """
    path = cache_path()
    table = read_table(path)
    if table is None:
        table = build_table()
        with contextlib.suppress(OSError):
            write_table(path, table)
    return table


def cache_path() -> Path:
    """Where the table of the installed phonenumbers is kept, below XDG_CACHE_HOME or ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    name = f"phone-{phonenumbers.__version__}-{FORMAT}-{sys.byteorder}.npz"
    return Path(home) / "airflow-whatsapp-campaigns" / name


def read_table(path: Path) -> Table | None:
    """The table in a file; None if there is none, or anything is wrong with it."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return Table(**{field.name: stored[field.name] for field in fields(Table)})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def write_table(path: Path, table: Table) -> None:
    """Write beside and rename, so that no other process ever sees half a file. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
        try:
            np.savez_compressed(file, **{field.name: getattr(table, field.name) for field in fields(Table)})
            file.close()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
