"""What an automaton's end can say, and its nodes, each kept once."""

from collections.abc import Sequence
from typing import NamedTuple

HORIZON = 20
"""Digits that an automaton reads at most; longer numbers are left to phonenumbers."""

UNDECIDED = 0
"""The node that is reached when only phonenumbers can tell."""


class Outcome(NamedTuple):
    """What a row is.

    `emit` is its E.164 form: literal characters, and negative ints for digits of the row counted from its end
    (-1 is the last). Counting from the end makes it independent of how the number was introduced: `0470…`,
    `+32470…` and `0032470…` end in the same nodes.
    """

    emit: tuple[str | int, ...] | None
    country: str | None
    is_mobile: bool
    problem: str | None

    def of(self, digits: Sequence[str | int]) -> "Outcome":
        """The same outcome when the row that was judged is itself written in terms of another one."""
        if self.emit is None:
            return self
        return self._replace(emit=tuple(e if isinstance(e, str) else digits[e] for e in self.emit))


def problem(code: str) -> Outcome:
    """The outcome of a number that is not valid."""
    return Outcome(emit=None, country=None, is_mobile=False, problem=code)


class Nodes:
    """Nodes of an acyclic automaton: an outcome if the number ends here, and a node for each next digit."""

    def __init__(self) -> None:
        self.ends: list[Outcome | None] = []
        self.rows: list[tuple[int, ...]] = []
        self._outcomes: dict[Outcome | None, int] = {}
        self._ids: dict[tuple[int, tuple[int, ...]], int] = {}
        self.add(None, [UNDECIDED] * 10)

    def add(self, end: Outcome | None, row: Sequence[int]) -> int:
        """The node with this end and these next nodes; equal ones are one node. `end=None` is undecided."""
        # The row alone nearly identifies a node, and an outcome is slow to hash.
        key = (self._outcomes.setdefault(end, len(self._outcomes)), tuple(row))
        if key not in self._ids:
            self._ids[key] = len(self.ends)
            self.ends.append(end)
            self.rows.append(key[1])
        return self._ids[key]

    def feed(self, node: int, digits: str) -> int:
        """The node after all of `digits`."""
        for digit in digits:
            node = self.rows[node][int(digit)]
        return node
