"""Run the automaton over a column of raw numbers, all rows at once."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.phone.table import (
    EMPTY_STATE,
    END,
    FOREIGN,
    OTHER,
    PLUS,
    PREFIX_WIDTH,
    SEMICOLON,
    STRIDE,
    TAIL_WIDTH,
    UNDECIDED_STATE,
    WORD,
    Table,
)

CHUNK_ROWS = 32_768
MAX_LENGTH = 250
"""Longer texts are not parsed at all: `phonenumberutil._MAX_INPUT_STRING_LENGTH`."""

_WINDOW = 16
_MAX_SYMBOLS = 48
_ROW_END = b"\xff"  # In no UTF-8 text.
_SEPARATORS = b" -./()[]"


class Judged(NamedTuple):
    """What the automaton says of a chunk: one final state per row, and the E.164 forms."""

    final: NDArray[np.int32]
    e164: pa.Array


def judge(table: Table, raw: pa.Array, roots: NDArray[np.int32]) -> Judged:
    """Follow every row of `raw` (strings) from its state in `roots` to its end.

    Final 0 is undecided: that row's answer is phonenumbers'.
    """
    symbols, ends, sizes = _symbols(raw)
    starts = np.empty_like(ends)
    starts[0] = TAIL_WIDTH
    starts[1:] = ends[:-1] + 1
    state = _follow(table, symbols, starts, roots)
    state[sizes > MAX_LENGTH] = UNDECIDED_STATE
    state[sizes == 0] = EMPTY_STATE
    final = state // STRIDE
    return Judged(final, _e164(table, final, symbols, ends))


def _symbol_table() -> bytes:
    # Symbols are the low four bits; the digits stay readable, so that E.164 is cut from the same bytes.
    symbols = bytearray([0x40 | FOREIGN]) * 256
    for byte in range(128):
        symbols[byte] = 0x40 | (WORD if chr(byte).isalpha() or byte == ord("#") else OTHER)
    for byte in b"0123456789":
        symbols[byte] = byte
    symbols[ord("+")] = 0x40 | PLUS
    symbols[ord(";")] = 0x40 | SEMICOLON
    symbols[_ROW_END[0]] = 0x40 | END
    return bytes(symbols)


_SYMBOLS = _symbol_table()


def _symbols(raw: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int32]]:
    """The rows' symbols one after another, each closed by END; where each ends; each row's size in bytes."""
    closed = pc.binary_join_element_wise(raw.cast(pa.binary()), b"", _ROW_END, null_handling="replace")
    offsets = np.frombuffer(closed.buffers()[1], dtype=np.int32)[: len(closed) + 1]
    text = bytes(memoryview(closed.buffers()[2])[offsets[0] : offsets[-1]])
    # Room before and after, so that a window may reach out of the text.
    padded = bytes(TAIL_WIDTH) + text.translate(_SYMBOLS, _SEPARATORS) + bytes(_MAX_SYMBOLS + _WINDOW)
    symbols = np.frombuffer(padded, dtype=np.uint8)
    return symbols, np.flatnonzero(symbols == 0x40 | END), np.diff(offsets) - 1


def _windows(symbols: NDArray[np.uint8], at: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The 16 bytes from each position on, (rows × 16)."""
    view: NDArray[np.void] = np.ndarray(
        (len(symbols) - _WINDOW + 1,), dtype=f"V{_WINDOW}", buffer=symbols, strides=(1,)
    )
    return view[at].view(np.uint8).reshape(len(at), _WINDOW)


def _follow(
    table: Table, symbols: NDArray[np.uint8], starts: NDArray[np.int64], roots: NDArray[np.int32]
) -> NDArray[np.int32]:
    """The final state of every row. A final state stays what it is, so rows may read on past their end."""
    state = _follow_window(table, _windows(symbols, starts), roots)
    last_final = len(table.length) * STRIDE
    for offset in range(_WINDOW, _MAX_SYMBOLS, _WINDOW):
        unfinished = np.flatnonzero(state >= last_final)
        if len(unfinished) == 0:
            return state
        windows = _windows(symbols, starts[unfinished] + offset)
        state[unfinished] = _follow_window(table, windows, state[unfinished])
    state[state >= last_final] = UNDECIDED_STATE
    return state


def _follow_window(
    table: Table, windows: NDArray[np.uint8], state: NDArray[np.int32]
) -> NDArray[np.int32]:
    columns = np.ascontiguousarray(windows.T) & 15
    for column in columns:
        # "clip" only spares the check for a bad index; there is none.
        state = table.steps.take(state + column, mode="clip")
    return state


def _e164(
    table: Table, final: NDArray[np.int32], symbols: NDArray[np.uint8], ends: NDArray[np.int64]
) -> pa.Array:
    rows = len(final)
    length = table.length[final]
    text = np.empty((rows, PREFIX_WIDTH + TAIL_WIDTH), dtype=np.uint8)
    text[:, :PREFIX_WIDTH] = table.prefix[final]
    text[:, PREFIX_WIDTH:] = _windows(symbols, _digit_ends(symbols, ends, length > 0) - TAIL_WIDTH)
    data = text[table.shown[final]]
    offsets = np.zeros(rows + 1, dtype=np.int32)
    np.cumsum(length, out=offsets[1:])
    valid = np.packbits(length > 0, bitorder="little")
    buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), rows, buffers)


def _digit_ends(
    symbols: NDArray[np.uint8], ends: NDArray[np.int64], shown: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The end of the last digit of each row that is shown: quotes, commas and the like may follow it."""
    late = np.flatnonzero(shown & (symbols[ends - 1] >= 0x40))
    if len(late):
        ends = ends.copy()
    while len(late):
        ends[late] -= 1
        late = late[symbols[ends[late] - 1] >= 0x40]
    return ends


def chunks(rows: int) -> Iterator[slice]:
    """Pieces small enough that their arrays stay in the processor's cache."""
    for start in range(0, rows, CHUNK_ROWS):
        yield slice(start, min(start + CHUNK_ROWS, rows))
