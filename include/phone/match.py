"""Keys that make two ways to write one mobile number equal: for matching, never for sending.

WhatsApp may answer from a number that differs from the one written to in one digit, and Meta calls that normal:
Mexico's old mobile prefix 1 after 52, Argentina's 9 after 54, Brazil's 9 after the two digits of the area
(reference `whatsapp_rules.md` B.11, sources S27 and S49).
"""

from typing import overload

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.phone.columns import Column, as_strings, series_of

_RULES = (
    ("+521", r"^\+521(\d{10})$", r"+52\1"),
    ("+549", r"^\+549(\d{10})$", r"+54\1"),
    ("+55", r"^\+55(\d{2})9(\d{8})$", r"+55\1\2"),
)


@overload
def match_key(e164: str) -> str: ...
@overload
def match_key(e164: None) -> None: ...
@overload
def match_key(e164: Column) -> pd.Series: ...


def match_key(e164: str | Column | None) -> str | pd.Series | None:
    """The key of an E.164 number, or of each of a column (Series or Arrow array → Series with the same index).

    Two numbers with the same key may be one person's. NA stays NA; what is not E.164 is its own key.
    """
    if e164 is None or isinstance(e164, str):
        key: str | None = _keys(pa.array([e164], pa.string()))[0].as_py()
        return key
    return series_of(_keys(as_strings(e164)), e164)


def _keys(numbers: pa.Array) -> pa.Array:
    for start, pattern, key in _RULES:
        # Few numbers are from these countries, and looking at the start costs a tenth of the pattern.
        rows = np.flatnonzero(pc.fill_null(pc.starts_with(numbers, start), fill_value=False))
        if len(rows):
            mask = np.zeros(len(numbers), dtype=np.bool_)
            mask[rows] = True
            keys = pc.replace_substring_regex(numbers.take(pa.array(rows)), pattern, key)
            numbers = pc.replace_with_mask(numbers, pa.array(mask), keys)
    return numbers
