"""Follow the ways a prefix can be written, digit by digit, and what is read behind each of them.

`re` takes the first alternative that fits, which may be known only many digits later (`0(1\\d)?`, or a final
`$`). So a state keeps the alternatives that may still win, each with a *run*: the state, an int, of the
automaton that reads what is behind that prefix.

States are ints too, so that products of automata are tuples of ints, which hash fast: `NOTHING`, a positive
one for "this alternative has won and its run is here", a negative one for everything that is still open.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from include.phone.patterns import Alternative
from include.phone.plans import Rewrite

NOTHING = 0
"""No prefix, and none to come."""

_RUN_BITS = 48
_RUN_MASK = (1 << _RUN_BITS) - 1


class _Open(NamedTuple):
    """After `length` digits: (index, run) of each alternative that may still win; the best that fitted."""

    length: int
    live: tuple[tuple[int, int], ...]
    done: int


class Tracker:
    """The alternatives of one prefix pattern, in order, with an automaton behind them.

    `begin(literal)` starts a run that has read `literal`; `row(run)` is the run after each of the ten digits.
    Runs are ints below 2**48.
    """

    def __init__(
        self,
        ways: Sequence[tuple[Alternative, Rewrite]],
        begin: Callable[[str], int],
        row: Callable[[int], Sequence[int]],
    ) -> None:
        self._ways = ways
        self._begin = begin
        self._run_row = row
        self._open: list[_Open] = []
        self._ids: dict[_Open, int] = {}
        self._rows: dict[int, Sequence[int]] = {NOTHING: (NOTHING,) * 10}

    def start(self) -> int:
        """The state before the first digit."""
        live: list[tuple[int, int]] = []
        for index, (way, rewrite) in enumerate(self._ways):
            run = self._begin(rewrite.literal)
            if not way.classes and not way.anchored:
                return self._state(_Open(0, tuple(live), _won(index, run)))
            live.append((index, run))
        return self._state(_Open(0, tuple(live), NOTHING))

    def row(self, state: int) -> Sequence[int]:
        """The states after each of the ten digits."""
        row = self._rows.get(state)
        if row is None:
            row = self._rows[state] = self._row(state)
        return row

    def is_open(self, state: int) -> bool:
        """Whether another alternative may still win."""
        return state < 0

    def winner(self, state: int) -> tuple[Rewrite, int] | None:
        """The alternative that matches a text that ends here, with its run."""
        if state < 0:
            opened = self._open[~state]
            for index, run in opened.live:
                way, rewrite = self._ways[index]
                if way.anchored and len(way.classes) == opened.length:
                    return rewrite, run
            state = opened.done
        return (self._ways[(state >> _RUN_BITS) - 1][1], state & _RUN_MASK) if state else None

    def _row(self, state: int) -> Sequence[int]:
        if state < 0:
            opened = self._open[~state]
            done = self.row(opened.done)
            return [self._after(opened, digit, done[digit]) for digit in range(10)]
        won = state & ~_RUN_MASK
        return [won | run for run in self._run_row(state & _RUN_MASK)]

    def _after(self, opened: _Open, digit: int, done: int) -> int:
        live: list[tuple[int, int]] = []
        for index, run in opened.live:
            way, rewrite = self._ways[index]
            if opened.length >= len(way.classes) or not way.classes[opened.length] >> digit & 1:
                continue
            if rewrite.start <= opened.length < rewrite.stop or opened.length >= rewrite.end:
                after = self._run_row(run)[digit]
            else:
                after = run
            if opened.length + 1 == len(way.classes) and not way.anchored:
                # Whatever comes later in the list has lost to this one.
                done = _won(index, after)
                break
            live.append((index, after))
        return self._state(_Open(opened.length + 1, tuple(live), done))

    def _state(self, opened: _Open) -> int:
        if not opened.live:
            return opened.done
        if opened not in self._ids:
            self._ids[opened] = ~len(self._open)
            self._open.append(opened)
        return self._ids[opened]


def _won(index: int, run: int) -> int:
    return index + 1 << _RUN_BITS | run
