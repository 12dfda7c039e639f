"""E.164 for a whole column of raw phone numbers at once."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.phone.cache import load_table
from include.phone.columns import Column, as_strings, frame_of
from include.phone.oracle import Number, classify, known_region
from include.phone.run import judge
from include.phone.table import UNDECIDED, Table


def normalize(numbers: Column, region: str | Column | None) -> pd.DataFrame:
    """Raw phone numbers → what they are, one row per input in its order.

    `numbers` are raw texts, as people and systems write them (a Series, an Arrow array); `region` is the ISO
    code of the country they were written in, one for all or one per row (None, NA or an unknown code: only
    numbers with a plus are understood). The answer has the index of `numbers` if that is a Series, and the columns

    * `e164`: Arrow string, for every valid number, mobile or not, otherwise NA
    * `country`: Arrow string, ISO 3166 code (and XK), NA if not valid or of no country, such as +800
    * `is_mobile`: bool, also true where mobile and fixed-line numbers look alike, as in +1
    * `problem`: Arrow string, one of `oracle.PROBLEMS`, NA exactly where `e164` is not

    It equals what `phonenumbers` says of each row (`oracle.classify`). Raises TypeError if `numbers` holds floats,
    which have lost digits and leading zeros, and ValueError if there are not as many regions as numbers.
    """
    raw = as_strings(numbers)
    table = load_table()
    place = _region_of_each(table, region, len(raw))
    final, e164 = judge(table, raw, place)
    columns = {
        "e164": e164,
        "country": _words(table.countries, table.country[final]),
        "is_mobile": pa.array(table.is_mobile[final]),
        "problem": _words(table.problems, table.problem[final]),
    }
    if (final == UNDECIDED).any():
        columns = _decide(columns, final == UNDECIDED, raw, table.regions[place])
    return frame_of(columns, numbers)


def _region_of_each(table: Table, region: str | Column | None, rows: int) -> NDArray[np.intp]:
    """The place of each row's region in `table.regions`; 0 is none."""
    places = {code: place for place, code in enumerate(table.regions.tolist())}
    if region is None or isinstance(region, str):
        return np.full(rows, places[known_region(region) or ""])
    codes = as_strings(region).dictionary_encode()
    if len(codes) != rows:
        raise ValueError(f"{rows} numbers but {len(codes)} regions")
    place = [places[known_region(code) or ""] for code in codes.dictionary.to_pylist()]
    none = len(place)
    index: NDArray[np.intp] = codes.indices.fill_null(none).to_numpy(zero_copy_only=False)
    return np.array([*place, 0], dtype=np.intp)[index]


def _words(words: NDArray[np.str_], index: NDArray[np.integer]) -> pa.Array:
    """The word at each index; -1 is NA."""
    index = np.where(index < 0, len(words), index).astype(np.int32)
    return pa.array([*words.tolist(), None], pa.string()).take(pa.array(index))


def _decide(
    columns: dict[str, pa.Array], undecided: NDArray[np.bool_], raw: pa.Array, region: NDArray[np.str_]
) -> dict[str, pa.Array]:
    """Ask phonenumbers about what the automaton left open, once per different text and region."""
    mask = pa.array(undecided)
    keys = list(zip(raw.filter(mask).to_pylist(), region[undecided].tolist(), strict=True))
    answers = {key: classify(key[0], key[1] or None) for key in set(keys)}
    rows = zip(*(answers[key] for key in keys), strict=True)
    return {
        name: pc.replace_with_mask(columns[name], mask, pa.array(values, columns[name].type))
        for name, values in zip(Number._fields, rows, strict=True)
    }
