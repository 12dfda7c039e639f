"""E.164 for a whole column of raw phone numbers at once."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.phone import oracle
from include.phone.cache import load_table
from include.phone.columns import Column, as_strings, frame_of
from include.phone.run import chunks, judge
from include.phone.table import Table


def normalize(numbers: Column, region: str | Column | None) -> pd.DataFrame:
    """Raw phone numbers → what they are, one row per input in its order.

    `numbers` are raw texts, as people and systems write them (a Series, an Arrow array); `region` is the ISO code
    of the country they were written in, one for all or one per row (None, NA or an unknown code: only numbers with
    a plus are understood). The answer has the index of `numbers` if that is a Series, and the columns

    * `e164`: Arrow string, for every valid number, mobile or not, otherwise NA
    * `country`: Arrow string, ISO 3166 code (and XK), NA if not valid or of no country, such as +800
    * `is_mobile`: bool, also true where mobile and fixed-line numbers look alike, as in +1
    * `problem`: Arrow string, one of `oracle.PROBLEMS`, NA exactly where `e164` is not

    and equals what `phonenumbers` says of each row (`oracle.classify`). Raises TypeError if `numbers` holds
    floats, from which leading zeros and digits are already lost, and ValueError if the lengths differ.
    """
    raw = as_strings(numbers)
    table = load_table()
    which = _region_of_each(table, region, len(raw))
    finals, e164 = [], []
    for piece in chunks(len(raw)):
        roots = table.roots[which[piece]] if which.ndim else np.full(piece.stop - piece.start, table.roots[which])
        judged = judge(table, raw[piece], roots)
        finals.append(judged.final)
        e164.append(judged.e164)
    final = np.concatenate(finals) if finals else np.empty(0, dtype=np.int32)
    columns = {
        "e164": pa.chunked_array(e164, pa.string()),
        "country": _words(table.countries, table.country[final]),
        "is_mobile": pa.array(table.is_mobile[final]),
        "problem": _words(table.problems, table.problem[final]),
    }
    undecided = final == 0
    if undecided.any():
        columns = _decide(columns, undecided, raw, table, which)
    return frame_of(columns, numbers)


def _region_of_each(table: Table, region: str | Column | None, rows: int) -> NDArray[np.intp]:
    """The place in `table.regions` of the one region (a 0-d array) or of each row's."""
    places = {code: place for place, code in enumerate(table.regions.tolist())}
    if region is None or isinstance(region, str):
        return np.array(places[oracle.known_region(region) or ""])
    codes = as_strings(region).dictionary_encode()
    if len(codes) != rows:
        raise ValueError(f"{rows} numbers but {len(codes)} regions")
    place = [places[oracle.known_region(code) or ""] for code in codes.dictionary.to_pylist()]
    # -1, a missing region, is the last.
    return np.array([*place, 0])[codes.indices.fill_null(-1).to_numpy(zero_copy_only=False)]


def _words(words: NDArray[np.str_], index: NDArray[np.integer]) -> pa.Array:
    """The word at each index; -1 is NA."""
    return pa.array([*words.tolist(), None], pa.string()).take(
        pa.array(np.where(index < 0, len(words), index).astype(np.int32))
    )


def _decide(
    columns: dict[str, pa.Array], undecided: NDArray[np.bool_], raw: pa.Array, table: Table, which: NDArray[np.intp]
) -> dict[str, pa.Array]:
    """Ask phonenumbers about what the automaton left open, once per different text and region."""
    mask = pa.array(undecided)
    regions: Sequence[int] = np.broadcast_to(which, len(raw))[undecided].tolist()
    answers: dict[tuple[str, int], oracle.Number] = {}
    rows = []
    for key in zip(raw.filter(mask).to_pylist(), regions, strict=True):
        if key not in answers:
            answers[key] = oracle.classify(key[0], str(table.regions[key[1]]) or None)
        rows.append(answers[key])
    return {
        name: pc.replace_with_mask(column, mask, pa.array(values, column.type))
        for (name, column), values in zip(columns.items(), zip(*rows, strict=True), strict=True)
    }
