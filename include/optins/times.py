"""Times as sources write them → aware UTC."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.optins.texts import cleaned, holds

MOMENT = pd.DatetimeTZDtype("us", "UTC")
EARLIEST = pd.Timestamp(
    "2009-01-01", tz="UTC"
)  # WhatsApp's first year: an earlier consent is a default value
_UNIX = r"\d{9,13}(?:\.\d+)?"
_OFFSET = r":\d{2}(?:\.\d+)? ?(?:Z|z|[+-]\d{2}:?(?:\d{2})?)$"


def moments(values: pd.Series, *, zone: str, withdrawal: pd.Series, now: datetime) -> pd.DataFrame:
    """ISO 8601 texts (or Unix seconds or milliseconds) as times, one row per input in its order.

    Columns: `at` (UTC, NaT where none) and `problem` (`no_changed_at`, `changed_at_unreadable`,
    `changed_at_in_future`, `changed_at_implausible`, else NA). Times without an offset are read in `zone`.
    The hour that a clock passes twice in autumn is read in favour of the person: a withdrawal as the
    later one, a grant as the earlier.
    """
    raw = cleaned(values)
    present = raw.notna()
    at = pd.Series(pd.NaT, index=values.index, dtype=MOMENT)
    number = holds(raw.str.fullmatch(_UNIX))
    aware = ~number & holds(raw.str.contains(_OFFSET, regex=True))
    naive = present & ~number & ~aware
    if aware.any():
        at[aware] = pd.to_datetime(
            raw[aware].astype(object), format="ISO8601", utc=True, errors="coerce"
        ).astype(MOMENT)
    if naive.any():
        at[naive] = _localised(raw[naive], zone, withdrawal[naive])
    if number.any():
        seconds = raw[number].astype(float)
        milliseconds = (seconds * 1000).where(seconds < 1e11, seconds)
        at[number] = pd.to_datetime(milliseconds.astype("int64"), unit="ms", utc=True).astype(MOMENT)
    problem = pd.Series(pd.NA, index=values.index, dtype=pd.ArrowDtype(pa.string()))
    problem[~present] = "no_changed_at"
    problem[present & at.isna()] = "changed_at_unreadable"
    # A source's clock may be a little ahead of ours.
    problem[at > pd.Timestamp(now) + pd.Timedelta(minutes=5)] = "changed_at_in_future"
    problem[at < EARLIEST] = "changed_at_implausible"
    return pd.DataFrame({"at": at, "problem": problem})


def newest(values: pd.Series, *, now: datetime) -> datetime | None:
    """The latest time that is not in the future: as far as a source has been read."""
    past = values[values <= pd.Timestamp(now)]
    return past.max().to_pydatetime() if len(past) else None


def _localised(raw: pd.Series, zone: str, withdrawal: pd.Series) -> pd.Series:
    parsed = pd.to_datetime(raw.astype(object), format="ISO8601", errors="coerce")
    summer_time = ~withdrawal
    return (
        parsed.dt.tz_localize(zone, ambiguous=summer_time.to_numpy(), nonexistent="shift_forward")
        .dt.tz_convert("UTC")
        .astype(MOMENT)
    )


def to_arrow(values: pd.Series) -> pa.Array:
    """Times as Arrow microseconds in UTC."""
    return pc.cast(pa.Array.from_pandas(values), pa.timestamp("us", "UTC"))
