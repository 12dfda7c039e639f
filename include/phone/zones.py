"""The time zone in which a number rings, as far as the number tells."""

from collections import Counter
from functools import cache
from typing import NamedTuple, overload

import numpy as np
import pandas as pd
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

from include.phone.columns import Column, as_strings, series_of
from include.phone.oracle import known_region
from include.phone.run import CHUNK_ROWS
from include.phone.symbols import END, PLUS, follow, starts_of, symbols_of


@overload
def time_zone(of: str) -> str | None: ...
@overload
def time_zone(of: None) -> None: ...
@overload
def time_zone(of: Column) -> pd.Series: ...


def time_zone(of: str | Column | None) -> str | pd.Series | None:
    """The IANA zone of an E.164 number or an ISO country code, or of each of a column of them; NA if unknown.

    That of the number's longest prefix in phonenumbers' time zone data, whatever the number's type. Where a prefix
    has several zones it is the likeliest of them (`_likely_zones`): exact for a country of one zone and for
    geographic numbers, a guess for `+1800…`. A country's zone is that of its example mobile number. A text that is
    neither has none.
    """
    if of is None or isinstance(of, str):
        zone: str | None = _zones(pa.array([of], pa.string()))[0].as_py()
        return zone
    return series_of(_zones(as_strings(of)), of)


class _Prefixes(NamedTuple):
    """An automaton over E.164 numbers whose final states are places in `zones`; the first is None."""

    steps: NDArray[np.int32]
    root: int
    zones: list[str | None]


def _zones(values: pa.Array) -> pa.Array:
    prefixes = _prefixes()
    places = [np.empty(0, dtype=np.int32)]
    for start in range(0, len(values), CHUNK_ROWS):
        symbols, ends, _ = symbols_of(values[start : start + CHUNK_ROWS])
        roots = np.full(len(ends), prefixes.root, dtype=np.int32)
        places.append(follow(prefixes.steps, len(prefixes.zones), roots, symbols, starts_of(ends)))
    place = np.concatenate(places)
    zones = pa.array(prefixes.zones, pa.string()).take(pa.array(place))
    if (place == 0).any():
        unknown = pa.array(place == 0)
        countries = values.filter(unknown).dictionary_encode()
        found = [_zone_of_country(country) for country in countries.dictionary.to_pylist()]
        zones = pc.replace_with_mask(zones, unknown, pa.array(found, pa.string()).take(countries.indices))
    return zones


@cache
def _zone_of_country(country: str) -> str | None:
    region = known_region(country)
    if region is None:
        return None
    number = phonenumbers.example_number_for_type(
        region, PhoneNumberType.MOBILE
    ) or phonenumbers.example_number(region)
    return time_zone(phonenumbers.format_number(number, PhoneNumberFormat.E164)) if number else None


@cache
def _prefixes() -> _Prefixes:
    zone_of = _likely_zones()
    zones = [None, *sorted(set(zone_of.values()))]
    place = {zone: index for index, zone in enumerate(zones)}
    nodes = sorted(
        {prefix[:length] for prefix in TIMEZONE_DATA for length in range(len(prefix) + 1)}, key=len
    )
    state = {prefix: len(zones) + index for index, prefix in enumerate(nodes)}
    root = len(zones) + len(nodes)
    steps = np.zeros((root + 1, 16), dtype=np.int32)
    steps[: len(zones)] = np.arange(len(zones))[:, None]
    best: dict[str, int] = {}
    for prefix in nodes:
        best[prefix] = place[zone_of[prefix]] if prefix in zone_of else best.get(prefix[:-1], 0)
        row = steps[state[prefix]]
        row[END] = best[prefix]
        row[:10] = [state.get(f"{prefix}{digit}", best[prefix]) for digit in range(10)]
    steps[root, PLUS] = state[""]
    return _Prefixes((steps * 16).ravel(), root * 16, zones)


def _likely_zones() -> dict[str, str]:
    """Each prefix's zone; of several, the one that most numbers of the calling code have for certain.

    phonenumbers lists them by name, which would put every Portuguese mobile on the Azores.
    """
    share: Counter[tuple[str, str]] = Counter()
    for prefix, zones in TIMEZONE_DATA.items():
        if len(zones) == 1:
            share[_calling_code(prefix), zones[0]] += 10 ** (TIMEZONE_LONGEST_PREFIX - len(prefix))
    likely = {}
    for prefix, zones in TIMEZONE_DATA.items():
        shares = [share[_calling_code(prefix), zone] for zone in zones]
        likely[prefix] = zones[shares.index(max(shares))]
    return likely


def _calling_code(prefix: str) -> str:
    codes = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    return next((prefix[:length] for length in range(1, 4) if int(prefix[:length]) in codes), prefix)
