"""Texts as symbols: the few kinds of characters that an automaton of phone numbers tells apart."""

import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# Symbols: the digits 0–9 are themselves, and all that `phonenumberutil` 9.0 tells apart besides them.
END = 10
PLUS = 11
WORD = 12  # ASCII letters and #: skipped before a number, otherwise an extension or a vanity number
FOREIGN = 13  # beyond ASCII: see `in_ascii`
OTHER = 14  # all other ASCII: skipped before a number and after it (`_UNWANTED_END_CHARS`)
SEMICOLON = 15  # as OTHER, but before a number it may introduce a `;phone-context=`

WINDOW = 16
MAX_SYMBOLS = 48

_SEPARATORS = b" -./()[]"
_ROW_END = b"\xff"  # In no UTF-8 text.
# Symbols are the low four bits. Digits keep their ASCII bytes, so that E.164 is cut from the same array.
_NOT_DIGIT = 0x40

# `_VALID_PUNCTUATION` and `_PLUS_CHARS` beyond ASCII. Tildes may also introduce an extension. Without U+30FC,
# which is a separator and a letter: nothing before it is stripped from the end of a text.
_FOREIGN_SEPARATORS = (
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d\uff0e\uff0f"
    "\u00a0\u00ad\u200b\u2060\u3000\uff08\uff09\uff3b\uff3d"
)
_FOREIGN_TILDES = "\u2053\u223c\uff5e"
_FOREIGN_PLUS = "\uff0b"


def symbols_of(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int32]]:
    """The symbols of all texts one after another, each text closed by END; where each ends; each one's bytes.

    The array has room before and after, so that a window may reach out of it.
    """
    closed = pc.binary_join_element_wise(texts.cast(pa.binary()), b"", _ROW_END, null_handling="replace")
    offsets = np.frombuffer(closed.buffers()[1], dtype=np.int32)[: len(closed) + 1]
    text = bytes(memoryview(closed.buffers()[2])[offsets[0] : offsets[-1]])
    padded = bytes(WINDOW) + text.translate(_SYMBOLS, _SEPARATORS) + bytes(MAX_SYMBOLS + WINDOW)
    symbols = np.frombuffer(padded, dtype=np.uint8)
    return symbols, np.flatnonzero(symbols == _NOT_DIGIT | END), np.diff(offsets) - 1


def starts_of(ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each text begins, of which `symbols_of` tells where it ends."""
    starts = np.empty_like(ends)
    starts[:1] = WINDOW
    starts[1:] = ends[:-1] + 1
    return starts


def digit_ends(
    symbols: NDArray[np.uint8], ends: NDArray[np.int64], wanted: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The end of the last digit of each wanted text: quotes, commas and the like may follow it."""
    late = np.flatnonzero(wanted & (symbols[ends - 1] >= _NOT_DIGIT))
    if len(late):
        ends = ends.copy()
    while len(late):
        ends[late] -= 1
        late = late[symbols[ends[late] - 1] >= _NOT_DIGIT]
    return ends


def windows(symbols: NDArray[np.uint8], at: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The 16 bytes from each position on, (texts × 16)."""
    view: NDArray[np.void] = np.ndarray(
        (len(symbols) - WINDOW + 1,), dtype=f"V{WINDOW}", buffer=symbols, strides=(1,)
    )
    return view[at].view(np.uint8).reshape(len(at), WINDOW)


def follow(
    steps: NDArray[np.int32],
    finals: int,
    state: NDArray[np.int32],
    symbols: NDArray[np.uint8],
    starts: NDArray[np.int64],
) -> NDArray[np.int32]:
    """The final state (0 to `finals` - 1) of every text, from its own first state; 0 if it never comes to one.

    `steps`, flat (states × 16), holds the next state for each state and symbol; states are numbered by 16. A final
    state leads to itself, so that texts of different lengths can be followed side by side.
    """
    state = _follow_window(steps, state, windows(symbols, starts))
    for offset in range(WINDOW, MAX_SYMBOLS, WINDOW):
        unfinished = np.flatnonzero(state >= finals * 16)
        if len(unfinished) == 0:
            return state // 16
        further = windows(symbols, starts[unfinished] + offset)
        state[unfinished] = _follow_window(steps, state[unfinished], further)
    state[state >= finals * 16] = 0
    return state // 16


def in_ascii(text: str) -> str:
    """A text of the same length that phonenumbers understands in the same way, wherever the symbols decide it.

    Any script's digits become 0–9; dashes, spaces and brackets that may stand in a number become a space; other
    characters a letter or not, as `\\w` sees them.
    """
    return text.translate(_IN_ASCII)


class _InAscii(dict[int, str]):
    def __missing__(self, code: int) -> str:
        character = chr(code)
        digit = unicodedata.decimal(character, None)
        if code < 128:
            ascii_character = character
        elif digit is not None:
            ascii_character = str(digit)
        else:
            ascii_character = "a" if character.isalnum() else "'"
        self[code] = ascii_character
        return ascii_character


_IN_ASCII = _InAscii()
_IN_ASCII.update(dict.fromkeys(map(ord, _FOREIGN_SEPARATORS), " "))
_IN_ASCII.update(dict.fromkeys(map(ord, _FOREIGN_TILDES), "~"))
_IN_ASCII[ord(_FOREIGN_PLUS)] = "+"


def _follow_window(
    steps: NDArray[np.int32], state: NDArray[np.int32], window: NDArray[np.uint8]
) -> NDArray[np.int32]:
    for column in np.ascontiguousarray(window.T) & 15:
        # "clip" only spares the check for a bad index; there is none.
        state = steps.take(state + column, mode="clip")
    return state


def _symbol_table() -> bytes:
    symbols = bytearray([_NOT_DIGIT | FOREIGN]) * 256
    for byte in range(128):
        is_word = chr(byte).isalpha() or byte == ord("#")
        symbols[byte] = _NOT_DIGIT | (WORD if is_word else OTHER)
    for byte in b"0123456789":
        symbols[byte] = byte
    symbols[ord("+")] = _NOT_DIGIT | PLUS
    symbols[ord(";")] = _NOT_DIGIT | SEMICOLON
    symbols[_ROW_END[0]] = _NOT_DIGIT | END
    return bytes(symbols)


_SYMBOLS = _symbol_table()
