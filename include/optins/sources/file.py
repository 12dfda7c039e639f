"""Opt-ins in files: CSV, JSON lines or Parquet in a folder, here or in object storage; `.gz` and `.zip` are unpacked.

Options: `pattern` (glob, where `%Y%m%d` stands for a date), `format` (csv, jsonl or parquet), `separator`, `encoding`;
`remember: false` to read every file every time instead of those alone that are new or have changed.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO, Protocol

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from include.entities import Source
from include.optins.sources.errors import SourceRefused, SourceShapeChanged, SourceUnavailable
from include.optins.sources.frames import (
    CHUNK,
    columns_read,
    frames,
    from_arrow,
    require_columns,
    require_fields,
)
from include.optins.sources.optouts import OptOut, Told
from include.optins.sources.own import RememberedFolder
from include.optins.sources.paging import path_value
from include.optins.sources.unpacking import UnpacksTooMuch, glob_of, mark_of, opened

REMEMBERS_FILES = True
LONGEST_LINE = 1 << 20  # bytes of one JSON document
BLOCK = 8 << 20  # bytes of text per chunk: about 50,000 records


class Folder(Protocol):
    """What we use of a `pathlib.Path`; Airflow's `ObjectStoragePath` has it too."""

    def exists(self) -> bool: ...

    def glob(self, pattern: str) -> Any: ...

    def __truediv__(self, name: str) -> Any: ...


def fetch(
    source: Source,
    access: Folder | RememberedFolder,
    since: datetime | None,  # noqa: ARG001 - every kind is asked in one way
) -> Iterator[pd.DataFrame]:
    """Every record of every file that fits the pattern, in the order of the file names. Raises SourceProblem.

    Files carry no trustworthy time of change, so `since` does not filter. Given a RememberedFolder, files whose content
    is known are passed over.
    """
    memory = access if isinstance(access, RememberedFolder) else RememberedFolder(access)
    folder: Folder = memory.folder
    try:
        if not folder.exists():
            raise SourceUnavailable(
                f"Source {source.name!r}: the folder of the connection {source.connection!r} does not exist (yet)."
            )
        for path in sorted(folder.glob(glob_of(source.options.get("pattern", "*"))), key=str):
            if not path.is_file():
                continue
            mark = mark_of(path, source)
            if mark not in memory.known or not source.options.get("remember", True):
                yield from _read(source, path)
                memory.taken[path.name] = mark
    except PermissionError as error:
        raise SourceRefused(f"Source {source.name!r}: no right to read {error.filename}.") from None
    except OSError as error:
        raise SourceUnavailable(f"Source {source.name!r}: {type(error).__name__} while reading.") from None


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{name}.part"
        unfinished.write_text(text.getvalue())
        unfinished.rename(folder / name)
    except PermissionError as error:
        raise SourceRefused(f"Source {source.name!r}: no right to write {error.filename}.") from None
    except OSError as error:
        raise SourceUnavailable(f"Source {source.name!r}: {type(error).__name__} while writing.") from None
    return [Told() for _ in optouts]


def _read(source: Source, path: Any) -> Iterator[pd.DataFrame]:
    kind = source.options.get("format", "csv")
    if kind not in _READERS:
        raise SourceShapeChanged(
            f"Source {source.name!r}: format {kind!r} is not known; one of {', '.join(_READERS)} is."
        )
    try:
        for name, stream in opened(path):
            yield from _READERS[kind](source, name, stream)
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeError, UnpacksTooMuch, *_DAMAGED) as error:
        raise SourceShapeChanged(_unreadable(source, path.name, error)) from None


def _unreadable(source: Source, name: str, error: Exception) -> str:
    # Arrow quotes the row at fault, which holds a person's data: only the sentence before it is told.
    cause = str(error).partition("\n")[0].partition(": Row #")[0].partition(", got")[0][:150]
    if "UTF8" in str(error) or isinstance(error, UnicodeError):
        cause = f"it is not {source.options.get('encoding', 'utf-8')}"
    if "Empty CSV file" in cause:
        cause = "it is empty, without even a header"
    return (
        f"Source {source.name!r}: the file {name!r} cannot be read as {source.options.get('format', 'csv')}: {cause}. "
        f"Have it delivered again, or correct options in sources/{source.name}.yaml. Nothing of this pull was kept."
    )


def _csv(source: Source, name: str, stream: BinaryIO) -> Iterator[pd.DataFrame]:
    ragged: list[str] = []

    def set_aside(row: Any) -> str:
        fields = f"{row.actual_columns} instead of {row.expected_columns} fields"
        ragged.append(f"{name}: {fields}" if row.number is None else f"{name}, row {row.number}: {fields}")
        return "skip"

    wanted = columns_read(source)
    reader = pa.csv.open_csv(
        stream,
        # One thread: with several, Arrow does not know the number of a ragged row.
        read_options=pa.csv.ReadOptions(
            block_size=BLOCK, encoding=source.options.get("encoding", "utf8"), use_threads=False
        ),
        parse_options=pa.csv.ParseOptions(
            delimiter=source.options.get("separator", ","),
            newlines_in_values=True,
            invalid_row_handler=set_aside,
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types={column: pa.string() for column in wanted},
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    require_columns(source, reader.schema.names, where=f"the file {name!r}")
    for batch in reader:
        frame = from_arrow(pa.table(batch).select(wanted))
        frame.attrs["unreadable"], ragged[:] = list(ragged), []
        yield frame


def _jsonl(source: Source, name: str, stream: BinaryIO) -> Iterator[pd.DataFrame]:
    wanted = columns_read(source)
    ragged: list[str] = []

    def rows() -> Iterator[list[Any]]:
        lines = iter(lambda: stream.readline(LONGEST_LINE), b"")
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    item = orjson.loads(line)
                except orjson.JSONDecodeError:
                    ragged.append(f"{name}, line {number}: not JSON")
                    continue
                yield [path_value(item, column) for column in wanted]

    for number, frame in enumerate(frames(rows(), wanted)):
        if number == 0:
            # A field that is null everywhere cannot be told from one that is gone: only the four that matter are asked.
            columns = source.columns
            needed = [columns.record_id, columns.phone, columns.consent, columns.changed_at]
            require_fields(
                source, [column for column in needed if not frame[column].isna().all()], where=name
            )
        frame.attrs["unreadable"], ragged[:] = list(ragged), []
        yield frame


def _parquet(source: Source, name: str, stream: BinaryIO) -> Iterator[pd.DataFrame]:
    file = pa.parquet.ParquetFile(stream)
    require_columns(source, file.schema_arrow.names, where=f"the file {name!r}")
    for batch in file.iter_batches(batch_size=CHUNK, columns=columns_read(source)):
        yield from_arrow(pa.table(batch))


_DAMAGED = (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error)
_READERS = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}
