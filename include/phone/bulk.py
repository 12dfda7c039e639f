"""E.164 for a whole column of raw phone numbers at once."""

import pandas as pd
import pyarrow as pa

from include.phone.oracle import Number, classify, known_region

STRING = pd.ArrowDtype(pa.string())


def normalize(
    numbers: pd.Series | pa.Array | pa.ChunkedArray, region: str | pd.Series | pa.Array | None
) -> pd.DataFrame:
    """Raw phone numbers → E.164, country, kind and what is wrong, one row per input in its order."""
    raw = pd.Series(numbers).reset_index(drop=True).astype(STRING)
    regions = pd.Series(region if not isinstance(region, str) else [region] * len(raw), dtype=STRING)
    rows = [
        classify(None if pd.isna(number) else number, known_region(None if pd.isna(code) else code))
        for number, code in zip(raw, regions, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=list(Number._fields))
    return frame.astype({"e164": STRING, "country": STRING, "is_mobile": bool, "problem": STRING})
