"""Texts of a source, cleaned, and the attributes of a record as JSON."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# JSON allows no control characters in a text, and PostgreSQL no NUL at all.
_CONTROL = r"[\x00-\x1f\x7f]+"


def cleaned(values: pd.Series) -> pd.Series:
    """Texts without control characters and outer spaces; an empty one is NA."""
    array = values.array.__arrow_array__()
    array = pc.utf8_trim_whitespace(pc.replace_substring_regex(array, _CONTROL, " "))
    array = pc.if_else(pc.equal(array, ""), None, array)
    return pd.Series(pd.arrays.ArrowExtensionArray(array), index=values.index)


def holds(condition: pd.Series) -> pd.Series:
    """A condition as plain booleans: what is not known does not hold."""
    return condition.fillna(value=False).astype(bool)


def as_json(frame: pd.DataFrame, columns: Mapping[str, str]) -> pa.Array:
    """One JSON object of texts per row, `{our name: the column's value}`; what is missing or empty is left out.

    Arrow builds all rows at once: 1M rows of three attributes take 1 s where `json.dumps` per row takes 5 s.
    """
    pieces = [pa.array([""] * len(frame), pa.string())]
    for name, column in columns.items():
        array = cleaned(frame[column]).array.__arrow_array__()
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        escaped = pc.replace_substring(pc.replace_substring(array, "\\", "\\\\"), '"', '\\"')
        member = pc.binary_join_element_wise(f',"{name}":"', escaped, '"', "", null_handling="emit_null")
        pieces.append(pc.fill_null(member, ""))
    members = pc.binary_join_element_wise(*pieces, "", null_handling="replace")
    return pc.binary_join_element_wise("{", pc.utf8_slice_codeunits(members, 1), "}", "")
