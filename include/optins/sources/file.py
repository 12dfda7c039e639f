"""Opt-ins in files: CSV, JSON lines or Parquet in a folder, here or in object storage; `.gz` and `.zip` are unpacked.

Options: `pattern` (glob, where `%Y%m%d` stands for a date), `format` (csv, jsonl or parquet), `separator`, `encoding`;
`remember: false` to read every file every time instead of those alone that are new or have changed.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from include.entities import Source
from include.optins.sources.errors import SourceShapeChanged, SourceUnavailable
from include.optins.sources.formats import READERS
from include.optins.sources.optouts import OptOut, Told
from include.optins.sources.own import ReadFile, RememberedFolder
from include.optins.sources.storage import Folder, stamp_of, storage_errors
from include.optins.sources.unpacking import DAMAGED, UnpacksTooMuch, glob_of, mark_of, opened, way_of

REMEMBERS_FILES = True


def fetch(
    source: Source,
    access: Folder | RememberedFolder,
    since: datetime | None,  # noqa: ARG001 - every kind is asked in one way
) -> Iterator[pd.DataFrame]:
    """Every record of every file that fits the pattern, in the order of the files' paths. Raises SourceProblem.

    Files carry no trustworthy time of change, so `since` does not filter. Given a RememberedFolder, files whose content
    is known are passed over.
    """
    memory = access if isinstance(access, RememberedFolder) else RememberedFolder(access)
    with storage_errors(source, "reading"):
        for path in _files(source, memory.folder):
            name = str(path).removeprefix(f"{memory.folder}/")
            stamp = stamp_of(path, way_of(source), memory.now) if memory.now else None
            remember = source.options.get("remember", True)
            if remember and stamp in memory.stamps:
                continue
            file = ReadFile(name, mark_of(path, source), stamp)
            if remember and file.mark in memory.marks:
                memory.recognised.append(file)
            elif not any(file.mark == other.mark for other in memory.taken):
                yield from _read(source, path)
                memory.taken.append(file)


def tell(source: Source, access: Folder, optouts: Sequence[OptOut], now: datetime) -> list[Told]:
    """Write one dated file `<source>_optouts_<time>_<n>.csv` (record_id, occurred_at) into `optout.folder`."""
    folder = access / (source.optout.folder if source.optout and source.optout.folder else "optouts")
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("record_id", "occurred_at"))
    writer.writerows((optout.record_id, optout.occurred_at.astimezone(UTC).isoformat()) for optout in optouts)
    # The same batch tried again has the same name and content, so a repeat adds nothing.
    mark = hashlib.sha256(text.getvalue().encode()).hexdigest()[:8]
    name = f"{source.name}_optouts_{now.astimezone(UTC):%Y%m%dT%H%M%SZ}_{mark}.csv"
    with storage_errors(source, "writing"):
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{name}.part"
        unfinished.write_text(text.getvalue())
        unfinished.rename(folder / name)
    return [Told() for _ in optouts]


def _files(source: Source, folder: Folder) -> Iterator[Any]:
    if not folder.exists():
        raise SourceUnavailable(
            f"Source {source.name!r}: the folder of the connection {source.connection!r} does not exist (yet)."
        )
    for path in sorted(folder.glob(glob_of(source.options.get("pattern", "*"))), key=str):
        if path.is_file():
            yield path


def _read(source: Source, path: Any) -> Iterator[pd.DataFrame]:
    kind = source.options.get("format", "csv")
    if kind not in READERS:
        raise SourceShapeChanged(
            f"Source {source.name!r}: format {kind!r} is not known; one of {', '.join(READERS)} is."
        )
    try:
        for name, stream in opened(path):
            yield from READERS[kind](source, name, stream)
    except (pa.ArrowException, ValueError, LookupError, UnpacksTooMuch, *DAMAGED) as error:
        raise SourceShapeChanged(_unreadable(source, path.name, error)) from None
    except OSError as error:
        if error.errno is not None:
            raise
        # Arrow's own, of a damaged page; what a disk or a store raises has a number.
        raise SourceShapeChanged(_unreadable(source, path.name, error)) from None


def _unreadable(source: Source, name: str, error: Exception) -> str:
    # Arrow quotes the row at fault, which holds a person's data: only the sentence before it is told.
    cause = str(error).partition("\n")[0].partition(": Row #")[0].partition(", got")[0][:150]
    if "UTF8" in str(error) or isinstance(error, UnicodeError):
        cause = f"it is not {source.options.get('encoding', 'utf-8')}"
    return (
        f"Source {source.name!r}: the file {name!r} cannot be read as {source.options.get('format', 'csv')}: "
        f"{cause or type(error).__name__}. Have it delivered again, or correct options in sources/{source.name}.yaml. "
        "Nothing of this pull was kept."
    )
