"""The time zone in which a number rings, as far as the number tells."""

from __future__ import annotations

import pandas as pd
import phonenumbers
import pyarrow as pa
from phonenumbers import timezone


def time_zone(e164: pd.Series | pa.Array) -> pd.Series:
    """E.164 numbers → IANA time zones, one per input in its order; NA where phonenumbers knows none.

    The zone follows from a prefix of at most 9 digits, so each prefix is looked up once. A country with several zones
    gives its first by name; `phonenumbers` orders them so.
    """
    numbers = pd.Series(e164).astype(pd.ArrowDtype(pa.string()))
    prefixes = numbers.str.slice(0, PREFIX_LENGTH)
    first = numbers.groupby(prefixes, sort=False).first()
    zones = {prefix: _zone(number) for prefix, number in first.items()}
    return prefixes.map(zones).astype(pd.ArrowDtype(pa.string()))


PREFIX_LENGTH = 1 + 9  # the plus and the longest prefix of phonenumbers' time zone data


def _zone(number: str) -> str | None:
    zone = timezone.time_zones_for_number(phonenumbers.parse(number))[0]
    return None if zone == phonenumbers.timezone.UNKNOWN_TIMEZONE else zone
