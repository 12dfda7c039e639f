"""The automaton as arrays: one row of next states per state, and what each final state says.

A state's number is its row times 16, so that following a symbol is one addition and one look-up. The first
rows are the final states, one per outcome, and state 0 is *undecided*.
"""

import gc
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.phone import nodes
from include.phone.automaton import Automaton
from include.phone.nodes import Outcome, problem
from include.phone.oracle import PROBLEMS
from include.phone.symbols import END, OTHER, PLUS, SEMICOLON, WINDOW, WORD

STRIDE = 16
PREFIX_WIDTH = 8
TAIL_WIDTH = WINDOW

# The first two final states.
UNDECIDED = 0
EMPTY = 1


@dataclass(frozen=True)
class Table:
    """All that running the automaton needs, as arrays that can be stored without pickling.

    `steps`, flat (states × 16): the next state. `roots`, one per entry of `regions`: the state to begin in; the
    first region is "", none. Then per final state: `shown`, (finals × 24) bool, which of its 8 bytes of
    `prefix` and the row's last 16 digits are its E.164 form; `length` of that form, 0 if there is none;
    `country` and `problem`, indices into `countries` and `problems`, or -1; `is_mobile`.
    """

    steps: NDArray[np.int32]
    roots: NDArray[np.int32]
    regions: NDArray[np.str_]
    prefix: NDArray[np.uint8]
    shown: NDArray[np.bool_]
    length: NDArray[np.uint8]
    country: NDArray[np.int16]
    countries: NDArray[np.str_]
    problem: NDArray[np.int8]
    problems: NDArray[np.str_]
    is_mobile: NDArray[np.bool_]


def build_table() -> Table:
    """Compile the metadata of the installed phonenumbers. Takes about 4 s."""
    # Millions of small tuples, no cycles: collecting in between doubled the time (7.4 s instead of 4.0 s).
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _table(Automaton())
    finally:
        if was_enabled:
            gc.enable()


def _table(automaton: Automaton) -> Table:
    ends = automaton.nodes.ends
    outcomes = [None, problem("empty"), *{end for end in ends if _layout(end) is not None}]
    finals = len(outcomes)
    final_of = {outcome: final for final, outcome in enumerate(outcomes)}

    # States: the finals; for each a state "nothing but the end may follow"; the nodes; the entries.
    first = 2 * finals
    regions = list(automaton.dialled)
    plus = first + len(ends)
    roots = plus + 1 + np.arange(len(regions))
    states = np.zeros((plus + 1 + len(regions), STRIDE), dtype=np.int32)
    states[:finals] = np.arange(finals)[:, None]
    after = np.arange(finals, first)
    states[after, END] = after - finals
    for symbol in (PLUS, OTHER, SEMICOLON):
        states[after, symbol] = after

    rows = np.array(automaton.nodes.rows, dtype=np.int32)
    final = np.array([final_of.get(end, 0) for end in ends], dtype=np.int32)
    body = states[first:plus]
    body[:, :10] = np.where(rows == nodes.UNDECIDED, 0, first + rows)
    body[:, END] = final
    for symbol in (PLUS, OTHER, SEMICOLON):
        body[:, symbol] = np.where(final == 0, 0, finals + final)

    states[plus, :10] = body[automaton.plus, :10]
    for root, region in zip(roots, regions, strict=True):
        states[root, :10] = body[automaton.dialled[region], :10]
        states[root, PLUS] = plus
        states[root, [WORD, OTHER]] = root

    prefix, shown = _layouts(outcomes)
    countries = sorted({outcome.country for outcome in outcomes if outcome and outcome.country})
    return Table(
        steps=(states * STRIDE).ravel(),
        roots=(roots * STRIDE).astype(np.int32),
        regions=np.array(regions),
        prefix=prefix,
        shown=shown,
        length=shown.sum(axis=1).astype(np.uint8),
        country=np.array([_index(countries, o and o.country) for o in outcomes], dtype=np.int16),
        countries=np.array(countries),
        problem=np.array([_index(PROBLEMS, o and o.problem) for o in outcomes], dtype=np.int8),
        problems=np.array(PROBLEMS),
        is_mobile=np.array([bool(o and o.is_mobile) for o in outcomes]),
    )


def _index(values: Sequence[str], value: str | None) -> int:
    return -1 if value is None else values.index(value)


def _layouts(outcomes: Sequence[Outcome | None]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The columns `prefix` and `shown`."""
    prefix = np.zeros((len(outcomes), PREFIX_WIDTH), dtype=np.uint8)
    shown = np.zeros((len(outcomes), PREFIX_WIDTH + TAIL_WIDTH), dtype=np.bool_)
    for row, outcome in enumerate(outcomes):
        literal, digits = _layout(outcome) or (b"", ())
        prefix[row, : len(literal)] = list(literal)
        shown[row, : len(literal)] = True
        shown[row, list(digits)] = True
    return prefix, shown


def _layout(outcome: Outcome | None) -> tuple[bytes, tuple[int, ...]] | None:
    """An E.164 form as some characters and some of the row's last digits; None if it is not made that way."""
    if outcome is None:
        return None
    emit = outcome.emit or ()
    literal = [character for character in emit if isinstance(character, str)]
    digits = tuple(digit for digit in emit if isinstance(digit, int))
    in_order = (*literal, *sorted(digits)) == emit
    if not in_order or len(literal) > PREFIX_WIDTH or (digits and digits[0] < -TAIL_WIDTH):
        return None
    return "".join(literal).encode(), digits
