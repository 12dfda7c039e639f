"""What somebody in one region writes without a plus."""

from collections.abc import Callable, Sequence

from include.phone.national import National
from include.phone.nodes import HORIZON, UNDECIDED, Nodes, Outcome
from include.phone.patterns import Alternative
from include.phone.plans import MAX_CODE_DIGITS, Rewrite, international_prefixes
from include.phone.prefixes import Tracker

MIN_DIGITS = 3
"""Fewer digits are a number only if nothing else is in the text: `phonenumberutil._VALID_PHONE_NUMBER`."""

_NOT_ABROAD = 0
"""Instead of a node: what was matched is no international prefix after all."""


# States of a `_BehindCode` before the end of the code; any state of a tracker is greater.
_NEVER = -(1 << 60)
_BEFORE = _NEVER + 1
_IN_CODE = _BEFORE + MAX_CODE_DIGITS

# A run over all digits as a national number; a run, and the national prefix, behind the region's own calling code
# (each a `_BehindCode`); the international prefix and the node behind it.
_State = tuple[int, int, int, int]


class Dialled:
    """`_maybe_extract_country_code` for one region and texts without a plus. `root` is the entry.

    Everything that the digits so far may turn out to be is followed side by side: a national number (a run), a
    number that begins with the region's own calling code (a run over what is behind it, and the national prefix
    in there), and an international prefix (with a node behind it).
    """

    def __init__(self, nodes: Nodes, national: National, main: int, abroad: int) -> None:
        """`main` is the national entry of the calling code's main region, `abroad` the international entry."""
        self._nodes = nodes
        self._national = national
        self._abroad = abroad
        self._memo: list[dict[_State, int]] = [{} for _ in range(HORIZON + 1)]
        prefix = national.tracker(main)
        self._prefix = prefix
        code = str(national.plan.code)
        self._behind_code = _BehindCode(code, national.begin(main), national.row)
        self._prefix_behind_code = _BehindCode(code, prefix.start(), prefix.row)
        self._exit = Tracker(
            [(way, _cut(way)) for way in international_prefixes(national.plan.regions[national.region])],
            begin=lambda _: abroad,
            row=self._abroad_row,
        )
        self._code_length = len(code)
        self.root = self._build(0, (national.begin(national.root), _BEFORE, _BEFORE, self._exit.start()))

    def _build(self, length: int, state: _State) -> int:
        """The node after `length` digits."""
        whole, own, own_prefix, left = state
        national = self._national
        if national.node(whole) == UNDECIDED:
            return UNDECIDED
        if length >= MIN_DIGITS and not self._exit.is_open(left):
            abroad = self._exit.winner(left)
            if abroad is None or abroad[1] == _NOT_ABROAD:
                if own == _NEVER:
                    return national.node(whole)
            elif abroad[1] != self._abroad:
                return abroad[1]
        memo = self._memo[length]
        node = memo.get(state)
        if node is None:
            after = list(
                zip(
                    national.row(whole),
                    self._behind_code.row(own),
                    self._prefix_behind_code.row(own_prefix),
                    self._exit.row(left),
                    strict=True,
                )
            )
            below = {one: self._build(length + 1, one) for one in set(after)}
            node = memo[state] = self._nodes.add(self._end(length, state), [below[one] for one in after])
        return node

    def _abroad_row(self, node: int) -> Sequence[int]:
        if node == _NOT_ABROAD:
            return [_NOT_ABROAD] * 10
        row = self._nodes.rows[node]
        # A calling code never begins with 0: then it was no international prefix (`_parse_prefix_as_idd`).
        return [_NOT_ABROAD, *row[1:]] if node == self._abroad else row

    def _end(self, length: int, state: _State) -> Outcome | None:
        if length < MIN_DIGITS:
            return None
        whole, own, own_prefix, left = state
        abroad = self._exit.winner(left)
        if abroad is not None and abroad[1] != _NOT_ABROAD:
            return self._nodes.ends[abroad[1]]
        national = self._national
        if own > _IN_CODE:
            rewrite, run = None, own
            stripped = self._prefix.winner(own_prefix)
            if stripped is not None and national.strips(run, stripped[1]):
                rewrite, run = stripped
            if (not national.is_general(whole) and national.is_general(run)) or (
                national.plan.length_problem(national.region, length) == "too_long"
            ):
                return national.end(run, rewrite, length - self._code_length)
        return national.end(whole, None, length)


class _BehindCode:
    """Read a calling code, then go on with another automaton: `start` and `row` are its own.

    A state up to `_IN_CODE` tells how many digits of the code were read, or `_NEVER`; above, it is the other's.
    """

    def __init__(self, code: str, start: int, row: Callable[[int], Sequence[int]]) -> None:
        self._behind_row = row
        self._rows = {_NEVER: [_NEVER] * 10}
        for read, digit in enumerate(code):
            row_in_code = [_NEVER] * 10
            row_in_code[int(digit)] = start if read + 1 == len(code) else _BEFORE + read + 1
            self._rows[_BEFORE + read] = row_in_code

    def row(self, state: int) -> Sequence[int]:
        """The states after each of the ten digits."""
        return self._behind_row(state) if state > _IN_CODE else self._rows[state]


def _cut(way: Alternative) -> Rewrite:
    """Drop the whole prefix."""
    length = len(way.classes)
    return Rewrite("", length, length, length)
