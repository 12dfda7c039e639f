"""In and out of Arrow: what callers hand over as a column, and the frames they get back."""

from collections.abc import Mapping
from typing import TypeAlias

import pandas as pd
import pyarrow as pa

Column: TypeAlias = pd.Series | pa.Array | pa.ChunkedArray

STRING = pd.ArrowDtype(pa.string())


def as_strings(column: Column) -> pa.Array:
    """One Arrow array of strings. Integers are written out; floats raise TypeError."""
    if isinstance(column, pd.Series):
        column = _from_series(column)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        raise TypeError("phone numbers as floats: digits may be lost already, read the column as text")
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def frame_of(columns: Mapping[str, pa.Array | pa.ChunkedArray], like: Column) -> pd.DataFrame:
    """A frame of Arrow columns (bools as plain bool) with the index of `like`."""
    index = like.index if isinstance(like, pd.Series) else None
    return pd.DataFrame({name: _series(column) for name, column in columns.items()}, copy=False).set_axis(
        index if index is not None else pd.RangeIndex(len(like)), axis=0
    )


def series_of(column: pa.Array | pa.ChunkedArray, like: Column) -> pd.Series:
    """A Series of Arrow strings with the index of `like`."""
    series = _series(column)
    return series.set_axis(like.index) if isinstance(like, pd.Series) else series


def _series(column: pa.Array | pa.ChunkedArray) -> pd.Series:
    if pa.types.is_boolean(column.type):
        return pd.Series(
            column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
        )
    return pd.Series(pd.arrays.ArrowExtensionArray(column))


def _from_series(series: pd.Series) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.array(series, from_pandas=True)
    except UnicodeEncodeError:
        # Half a surrogate pair, from a broken decoder. No number either way: put the replacement character.
        return pa.array([_encodable(value) for value in series], pa.string())


def _encodable(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
