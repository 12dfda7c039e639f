"""What is in a file: CSV, JSON lines or Parquet as frames of texts. A row that cannot be read is told, never dropped:
`frame.attrs["unreadable"]` holds file, place and cause of each, and no value of it.
"""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from include.entities import Source
from include.optins.sources.errors import SourceShapeChanged
from include.optins.sources.frames import (
    CHUNK,
    columns_read,
    frame,
    from_arrow,
    require_columns,
    require_fields,
)
from include.optins.sources.paging import path_value

BLOCK = (
    2 << 20
)  # bytes of text per chunk, some 30,000 records: with more, memory grows as it breaks up; a row must fit
LONGEST_LINE = 1 << 20  # bytes of one JSON document
HARMLESS_ROWS = 1_000_000
_DIGITS = 6  # the fewest that a record has: its number has more, and its time as well

Reader = Callable[[Source, str, BinaryIO], Iterator[pd.DataFrame]]


class Unreadable(ValueError):
    """A file that is not what its source says; the text says why, without a value of it."""


def read_csv(source: Source, name: str, stream: BinaryIO) -> Iterator[pd.DataFrame]:
    """Frames of a CSV with a header. Raises Unreadable, SourceShapeChanged, pyarrow.ArrowException."""
    separator = str(source.options.get("separator", ","))
    if len(separator) != 1:
        raise Unreadable("the separator is not one character")
    header = _header(stream, separator, source.options.get("encoding", "utf-8"))
    if not header:
        raise Unreadable("it is empty, without even a header")
    wanted = columns_read(source)
    _require_once(source, header, wanted, where=f"the file {name!r}")
    ragged = _Ragged(name, separator)
    try:
        reader = _open_csv(source, stream, header, separator, ragged)
        for batch in reader:
            table = pa.table(batch)
            if _swallows_rows(table, separator):
                raise Unreadable("a quote that is not closed takes whole rows into one field")
            yield _with(from_arrow(table.select(wanted)), ragged.take())
    except pa.ArrowInvalid as error:
        if "straddling object" in str(error):
            raise Unreadable(f"a row is longer than {BLOCK >> 20} MB; is a quote not closed?") from None
        if "Empty CSV file" not in str(error):  # a header and no line end
            raise
    if left := ragged.take():
        yield _with(frame([], wanted), left)


def read_jsonl(source: Source, name: str, stream: BinaryIO) -> Iterator[pd.DataFrame]:
    """Frames of a file with one JSON object a line. Raises SourceShapeChanged."""
    wanted = columns_read(source)
    seen: set[str] = set()
    for chunk in _chunks(stream):
        rows, unreadable = [], []
        for number, line in chunk:
            item, problem = _object(line)
            if problem:
                unreadable.append(f"{name}, line {number}: {problem}")
            elif item is not None:
                rows.append([path_value(item, column) for column in wanted])
        found = frame(rows, wanted)
        if rows and not seen:
            # A field that is null everywhere cannot be told from one that is gone: only the four that matter are asked.
            seen = {column for column in wanted if not found[column].isna().all()}
            require_fields(source, seen, where=name)
        yield _with(found, unreadable)


def read_parquet(source: Source, name: str, stream: BinaryIO) -> Iterator[pd.DataFrame]:
    """Frames of a Parquet file. Raises Unreadable, SourceShapeChanged, pyarrow.ArrowException."""
    with _seekable(stream) as seekable:
        size = seekable.seek(0, io.SEEK_END)
        seekable.seek(0)
        file = pa.parquet.ParquetFile(seekable, pre_buffer=False)
        if file.metadata.num_rows > max(HARMLESS_ROWS, size):
            # Every record has an id of its own, which no packing brings below a byte.
            raise Unreadable(f"it says it has {file.metadata.num_rows} rows in {size} bytes")
        wanted = columns_read(source)
        _require_once(source, file.schema_arrow.names, wanted, where=f"the file {name!r}")
        for batch in file.iter_batches(batch_size=CHUNK, columns=wanted):
            batch.validate(full=True)  # Arrow reads a text that is not UTF-8 without a word
            yield from_arrow(pa.table(batch).select(wanted))


READERS: dict[str, Reader] = {"csv": read_csv, "jsonl": read_jsonl, "parquet": read_parquet}


def _with(found: pd.DataFrame, unreadable: Sequence[str]) -> pd.DataFrame:
    found.attrs["unreadable"] = list(unreadable)
    return found


def _require_once(source: Source, found: Sequence[str], wanted: Sequence[str], *, where: str) -> None:
    require_columns(source, found, where=where)
    twice = [name for name in wanted if list(found).count(name) > 1]
    if twice:
        raise SourceShapeChanged(
            f"Source {source.name!r}: {where} has the column {', '.join(map(repr, twice))} twice. Have it delivered "
            "with one of them. Nothing of this pull was kept."
        )


def _header(stream: BinaryIO, separator: str, encoding: str) -> list[str]:
    """The names in a CSV's first line, without moving on."""
    start = stream.peek(1 << 20)  # type: ignore[attr-defined]  # a BufferedReader
    text = start.decode(encoding, "replace").removeprefix("\ufeff")
    try:
        return next(
            (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row), []
        )
    except csv.Error as error:
        raise Unreadable(f"its header cannot be read: {error}") from None


class _Ragged:
    """Rows that have too few or too many fields."""

    def __init__(self, name: str, separator: str) -> None:
        self.name, self.separator = name, separator
        self._swallows: int | None = None
        self._told: list[str] = []

    def __call__(self, row: Any) -> str:
        """Arrow's question what to do with such a row."""
        breaks = row.text.rstrip("\r\n").count("\n")
        # As many separators as so many whole rows have: it is not one row with a text of several lines.
        if breaks and row.text.count(self.separator) >= (breaks + 1) * (row.expected_columns - 1):
            self._swallows = row.number
        fields = f"{row.actual_columns} instead of {row.expected_columns} fields"
        self._told.append(f"{self.name}, row {row.number}: {fields}")
        return "skip"

    def take(self) -> list[str]:
        """What was found since the last time. Raises Unreadable when one of them holds other rows."""
        if self._swallows:
            raise Unreadable(f"row {self._swallows} has a quote that is not closed and takes whole rows in")
        told, self._told = self._told, []
        return told


def _open_csv(source: Source, stream: BinaryIO, header: list[str], separator: str, ragged: _Ragged) -> Any:
    return pa.csv.open_csv(
        stream,
        # One thread: with several, Arrow does not know the number of a ragged row.
        read_options=pa.csv.ReadOptions(
            block_size=BLOCK, encoding=source.options.get("encoding", "utf8"), use_threads=False
        ),
        parse_options=pa.csv.ParseOptions(
            delimiter=separator, newlines_in_values=True, invalid_row_handler=ragged
        ),
        convert_options=pa.csv.ConvertOptions(
            # Every column, not only ours: Arrow would guess the others' types from the first chunk and stop at the
            # first value of a later one that does not fit.
            column_types=dict.fromkeys(header, pa.string()),
            strings_can_be_null=True,
            null_values=[""],
        ),
    )


def _swallows_rows(table: pa.Table, separator: str) -> bool:
    """Whether a field holds other rows: a quote that opens in one row and closes in a later one.

    Such a field has, for each line break, as many separators as a whole row, and a row's digits (a number, a date). A
    text of several lines has not.
    """
    each = table.num_columns - 1
    if each < 2:
        return False
    for column in table.columns:
        if not pa.types.is_string(column.type):
            continue
        for value in column.filter(pc.fill_null(pc.match_substring(column, "\n"), False)).to_pylist():  # noqa: FBT003
            breaks = value.count("\n")
            if value.count(separator) == breaks * each and sum(map(str.isdigit, value)) >= breaks * _DIGITS:
                return True
    return False


def _chunks(stream: BinaryIO) -> Iterator[list[tuple[int, bytes | None]]]:
    """Numbered lines, so many that they fit in memory; None for one that is too long."""
    chunk: list[tuple[int, bytes | None]] = []
    size, number = 0, 0
    while line := stream.readline(LONGEST_LINE):
        number += 1
        whole = line.endswith(b"\n") or len(line) < LONGEST_LINE
        if not whole:
            while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
        chunk.append(
            (number, (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line) if whole else None)
        )
        size += len(line)
        if len(chunk) == CHUNK or size > 4 * BLOCK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _object(line: bytes | None) -> tuple[dict[str, Any] | None, str | None]:
    """A line's object, or what is wrong with it; neither for a blank one."""
    if line is None:
        return None, f"longer than {LONGEST_LINE} bytes"
    if not line.strip():
        return None, None
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None, "not JSON"
    return (item, None) if isinstance(item, dict) else (None, "not a JSON object")


def _seekable(stream: BinaryIO) -> BinaryIO:
    """The stream itself, or a temporary file of its bytes where it cannot go back (unpacked on the way)."""
    if stream.seekable():
        return stream
    spooled = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    shutil.copyfileobj(stream, spooled, 1 << 20)
    spooled.seek(0)
    return spooled
