"""Run the automaton over a column of raw numbers, all rows at once."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.phone.symbols import digit_ends, follow, in_ascii, starts_of, symbols_of, windows
from include.phone.table import EMPTY, PREFIX_WIDTH, TAIL_WIDTH, UNDECIDED, Table

CHUNK_ROWS = 32_768
"""Few enough that a chunk's arrays stay in the processor's cache."""

MAX_LENGTH = 250
"""Longer texts are not parsed at all: `phonenumberutil._MAX_INPUT_STRING_LENGTH`."""


class Judged(NamedTuple):
    """The final state of every row, an index into the table's columns, and the E.164 forms."""

    final: NDArray[np.int32]
    e164: pa.Array


def judge(table: Table, raw: pa.Array, region: NDArray[np.intp]) -> Judged:
    """What the automaton says of every row of `raw` (strings), written in `region` (places in `table.regions`).

    Where `final` is UNDECIDED, only phonenumbers can tell.
    """
    final, e164 = _judge(table, raw, region)
    # Other scripts, and the invisible characters that come with copied numbers.
    undecided = np.flatnonzero(final == UNDECIDED)
    texts = raw.take(pa.array(undecided))
    foreign = undecided[~pc.string_is_ascii(texts).to_numpy(zero_copy_only=False)]
    if len(foreign):
        texts = pa.array([in_ascii(text) for text in raw.take(pa.array(foreign)).to_pylist()], pa.string())
        again = _judge(table, texts, region[foreign])
        final[foreign] = again.final
        mask = np.zeros(len(raw), dtype=np.bool_)
        mask[foreign] = True
        e164 = pc.replace_with_mask(e164, pa.array(mask), again.e164)
    return Judged(final, e164)


def _judge(table: Table, raw: pa.Array, region: NDArray[np.intp]) -> Judged:
    finals, forms = [np.empty(0, dtype=np.int32)], [pa.array([], pa.string())]
    for start in range(0, len(raw), CHUNK_ROWS):
        piece = slice(start, start + CHUNK_ROWS)
        symbols, ends, sizes = symbols_of(raw[piece])
        roots = table.roots[region[piece]]
        final = follow(table.steps, len(table.length), roots, symbols, starts_of(ends))
        final[sizes > MAX_LENGTH] = UNDECIDED
        final[sizes == 0] = EMPTY
        finals.append(final)
        forms.append(_e164(table, final, symbols, ends))
    return Judged(np.concatenate(finals), pa.concat_arrays(forms))


def _e164(
    table: Table, final: NDArray[np.int32], symbols: NDArray[np.uint8], ends: NDArray[np.int64]
) -> pa.Array:
    rows = len(final)
    length = table.length[final]
    text = np.empty((rows, PREFIX_WIDTH + TAIL_WIDTH), dtype=np.uint8)
    text[:, :PREFIX_WIDTH] = table.prefix[final]
    text[:, PREFIX_WIDTH:] = windows(symbols, digit_ends(symbols, ends, length > 0) - TAIL_WIDTH)
    data = text[table.shown[final]]
    offsets = np.zeros(rows + 1, dtype=np.int32)
    np.cumsum(length, out=offsets[1:])
    valid = np.packbits(length > 0, bitorder="little")
    return pa.Array.from_buffers(pa.string(), rows, [pa.py_buffer(part) for part in (valid, offsets, data)])
