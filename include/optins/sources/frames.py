"""From a source's values to frames of Arrow strings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa

from include.entities import Source
from include.optins.sources.errors import SourceShapeChanged

CHUNK = 50_000
STRING = pd.ArrowDtype(pa.string())


def columns_read(source: Source) -> list[str]:
    """The source's columns that a frame must have: the mapped ones, and the one that tells what is new."""
    changed = source.options.get("changed_column")
    return list(dict.fromkeys([*source.columns.wanted, *([changed] if changed else [])]))


def frame(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows of values, in the order of `columns`, as a frame of Arrow strings."""
    values = zip(*rows, strict=True) if rows else ([] for _ in columns)
    return pd.DataFrame(
        {
            name: pd.Series(_array([text(value) for value in column]), dtype=STRING)
            for name, column in zip(columns, values, strict=True)
        }
    )


def frames(rows: Iterable[Sequence[Any]], columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """`frame`, chunk by chunk."""
    remaining = iter(rows)
    while chunk := list(islice(remaining, CHUNK)):
        yield frame(chunk, columns)


def from_arrow(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as a frame of Arrow strings."""
    columns = {name: _strings(column) for name, column in zip(table.column_names, table.columns, strict=True)}
    return pd.DataFrame(
        {name: pd.Series(pd.arrays.ArrowExtensionArray(column)) for name, column in columns.items()}
    )


def text(value: Any) -> str | None:
    """One value as the text that our parsers read: `true`, ISO 8601, JSON for what is nested, None for none."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer():
        # A nullable integer column of a file often comes as floats: 32470123456.0 is no phone number.
        return str(int(value))
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return str(int(value))
    if isinstance(value, dict | list):
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return str(value)


def require_columns(source: Source, found: Iterable[str], *, where: str) -> None:
    """Raise SourceShapeChanged when a column that the YAML names is not among those found."""
    found = list(found)
    missing = [name for name in columns_read(source) if name not in found]
    if missing:
        raise SourceShapeChanged(
            f"Source {source.name!r}: {where} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, found[:40])) or 'none'}. Correct `columns` in sources/{source.name}.yaml, or have "
            "the source deliver the column again. Nothing of this pull was kept."
        )


def require_fields(source: Source, present: Iterable[str], *, where: str) -> None:
    """Raise SourceShapeChanged when a field that every record needs is absent from every record of `where`."""
    columns = source.columns
    present = set(present)
    needed = (columns.record_id, columns.phone, columns.consent, columns.changed_at)
    missing = [name for name in needed if name not in present]
    if missing:
        raise SourceShapeChanged(
            f"Source {source.name!r}: no record of {where} has the field {', '.join(map(repr, missing))}. Correct "
            f"`columns` in sources/{source.name}.yaml. Nothing of this pull was kept."
        )


def _array(values: list[str | None]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        # JSON may escape half a character (`\\ud83d`), which is no text in any encoding.
        whole = [value and value.encode("utf-8", "replace").decode() for value in values]
        return pa.array(whole, pa.string())


def _strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(column.type):
        return column
    if pa.types.is_large_string(column.type) or pa.types.is_dictionary(column.type):
        return column.cast(pa.string())
    return pa.chunked_array([_array([text(value) for value in column.to_pylist()])])
