"""The digits behind a calling code: with or without the national prefix, and what the rest is."""

from collections.abc import Sequence

from include.phone.nodes import HORIZON, UNDECIDED, Nodes, Outcome, problem
from include.phone.plans import (
    MAX_NATIONAL_DIGITS,
    NON_GEOGRAPHICAL,
    Plan,
    Rewrite,
    national_prefixes,
)
from include.phone.prefixes import NOTHING, Tracker

_NODE_BITS = 24
_NODE_MASK = (1 << _NODE_BITS) - 1


def significant(nodes: Nodes, plan: Plan) -> int:
    """The entry to the national significant numbers of a plan: valid ones, and why others are not."""
    memo: dict[tuple[int, int], int] = {}

    def build(length: int, state: int) -> int:
        if length > HORIZON:
            return UNDECIDED
        node = memo.get((length, state))
        if node is None:
            row = plan.patterns.row(state)
            below = {after: build(length + 1, after) for after in set(row)}
            node = memo[length, state] = nodes.add(
                _what(plan, state, length), [below[after] for after in row]
            )
        return node

    return build(0, plan.patterns.start)


class National:
    """Digits behind the calling code, read by the rules of one region. `root` is the entry.

    `_maybe_strip_national_prefix_carrier_code` and the end of `parse`: the prefix is taken off unless only the
    number with it has the region's general form, or what is left would be too short.

    A *run* over some digits is an int: the state of the region's general form, and a node.
    """

    def __init__(self, nodes: Nodes, plan: Plan, region: str, entry: int) -> None:
        """`entry` is the plan's `significant`."""
        self.plan = plan
        self.region = region
        self._general = plan.general(region)
        self._nodes = nodes
        self._rows: dict[int, Sequence[int]] = {}
        self._memo: list[dict[tuple[int, int], int]] = [{} for _ in range(HORIZON + 1)]
        self._prefix = self.tracker(entry)
        self.root = self._build(0, (self.begin(entry), self._prefix.start()))

    def begin(self, entry: int, digits: str = "") -> int:
        """A run from the node `entry` that has read `digits`."""
        state = self._general.feed(self._general.start, digits)
        return state << _NODE_BITS | self._nodes.feed(entry, digits)

    def row(self, run: int) -> Sequence[int]:
        """A run after each of the ten digits."""
        row = self._rows.get(run)
        if row is None:
            states, nodes = self._general.row(run >> _NODE_BITS), self._nodes.rows[run & _NODE_MASK]
            row = self._rows[run] = [
                state << _NODE_BITS | node for state, node in zip(states, nodes, strict=True)
            ]
        return row

    def node(self, run: int) -> int:
        """The node that a run has come to."""
        return run & _NODE_MASK

    def tracker(self, entry: int) -> Tracker:
        """Follows the national prefix, with runs from the node `entry` behind it."""
        return Tracker(
            national_prefixes(self.plan.regions[self.region]),
            begin=lambda literal: self.begin(entry, literal),
            row=self.row,
        )

    def is_general(self, run: int) -> bool:
        """Whether the digits of a run have the region's general form."""
        return bool(self._general.matched(run >> _NODE_BITS))

    def strips(self, whole: int, stripped: int) -> bool:
        """Whether the national prefix is taken off: not if only the number with it has the general form."""
        return self.is_general(stripped) or not self.is_general(whole)

    def end(self, run: int, rewrite: Rewrite | None, length: int) -> Outcome | None:
        """What the digits of a run are, which were left of `length` digits by `rewrite`."""
        end = self._nodes.ends[run & _NODE_MASK]
        if end is None or rewrite is None or rewrite.is_suffix:
            return end  # Counted from the end, nothing changes.
        return end.of(rewritten(rewrite, length))

    def _build(self, length: int, state: tuple[int, int]) -> int:
        """The node after `length` digits. The state is a run over all of them and the national prefix's."""
        whole, prefix = state
        if prefix == NOTHING or whole & _NODE_MASK == UNDECIDED:
            return whole & _NODE_MASK
        memo = self._memo[length]
        node = memo.get(state)
        if node is None:
            after = list(zip(self.row(whole), self._prefix.row(prefix), strict=True))
            below = {one: self._build(length + 1, one) for one in set(after)}
            node = self._nodes.add(self._end(length, whole, prefix), [below[one] for one in after])
            memo[state] = node
        return node

    def _end(self, length: int, whole: int, prefix: int) -> Outcome | None:
        stripped = self._prefix.winner(prefix)
        if length >= 2 and stripped is not None and self.strips(whole, stripped[1]):
            rewrite, run = stripped
            if self.plan.length_problem(self.region, rewrite.length(length)) in (None, "too_long"):
                return self.end(run, rewrite, length)
        return self._nodes.ends[whole & _NODE_MASK]


def rewritten(rewrite: Rewrite, length: int) -> tuple[str | int, ...]:
    """What is left of `length` digits, each counted from the end, after stripping a national prefix."""
    digits = range(-length, 0)
    return (*rewrite.literal, *digits[rewrite.start : rewrite.stop], *digits[rewrite.end :])


def _what(plan: Plan, state: int, length: int) -> Outcome:
    if length < 2:
        return problem("too_short")
    if length > MAX_NATIONAL_DIGITS:
        return problem("too_long")
    kind = plan.kind(state, length)
    if kind is None:
        return problem(plan.length_problem(plan.main, length) or "invalid")
    country = None if kind.region == NON_GEOGRAPHICAL else kind.region
    return Outcome((*f"+{plan.code}", *range(-length, 0)), country, kind.is_mobile, None)
