"""What somebody in one region writes without a plus."""

from collections.abc import Callable, Sequence

from include.phone.national import National
from include.phone.nodes import UNDECIDED, Nodes, Outcome
from include.phone.patterns import Alternative
from include.phone.plans import Rewrite, international_prefixes
from include.phone.prefixes import NOTHING, Tracker

MIN_DIGITS = 3
"""Fewer digits are a number only if nothing else is in the text: `phonenumberutil._VALID_PHONE_NUMBER`."""

_NOT_ABROAD = 0
"""Instead of a node: what was matched is no international prefix after all."""

# The low bits of a `_BehindCode` state: one more than the digits of the code that were read.
_READ_BITS = 3
_READ_MASK = (1 << _READ_BITS) - 1


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
        self._memo: dict[tuple[int, ...], int] = {}
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
        before = _BehindCode.BEFORE
        self.root = self._build(0, national.begin(national.root), before, before, self._exit.start())

    def _build(self, length: int, whole: int, own: int, own_prefix: int, left: int) -> int:
        """The node after `length` digits. `own` and `own_prefix` are states of a `_BehindCode`."""
        national = self._national
        if national.node(whole) == UNDECIDED:
            return UNDECIDED
        if length >= MIN_DIGITS and not self._exit.is_open(left):
            abroad = self._exit.winner(left)
            if abroad is None or abroad[1] == _NOT_ABROAD:
                if own == _BehindCode.NEVER:
                    return national.node(whole)
            elif abroad[1] != self._abroad:
                return abroad[1]
        key = (length, whole, own, own_prefix, left)
        node = self._memo.get(key)
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
            below = {one: self._build(length + 1, *one) for one in set(after)}
            end = self._end(length, whole, own, own_prefix, left)
            node = self._memo[key] = self._nodes.add(end, [below[one] for one in after])
        return node

    def _abroad_row(self, node: int) -> Sequence[int]:
        if node == _NOT_ABROAD:
            return [_NOT_ABROAD] * 10
        row = self._nodes.rows[node]
        # A calling code never begins with 0: then it was no international prefix (`_parse_prefix_as_idd`).
        return [_NOT_ABROAD, *row[1:]] if node == self._abroad else row

    def _end(self, length: int, whole: int, own: int, own_prefix: int, left: int) -> Outcome | None:
        if length < MIN_DIGITS:
            return None
        abroad = self._exit.winner(left)
        if abroad is not None and abroad[1] != _NOT_ABROAD:
            return self._nodes.ends[abroad[1]]
        national = self._national
        run = self._behind_code.behind(own)
        if run is not None:
            rewrite = None
            stripped = self._prefix.winner(self._prefix_behind_code.behind(own_prefix) or NOTHING)
            if stripped is not None and national.strips(run, stripped[1]):
                rewrite, run = stripped
            if (not national.is_general(whole) and national.is_general(run)) or (
                national.plan.length_problem(national.region, length) == "too_long"
            ):
                return national.end(run, rewrite, length - self._code_length)
        return national.end(whole, None, length)


class _BehindCode:
    """Read a calling code, then go on with another automaton: `start` and `row` are its own.

    A state is an int: `BEFORE`, `NEVER`, something in between, or the state behind the code (`behind`).
    """

    BEFORE = 1
    NEVER = 0

    def __init__(self, code: str, start: int, row: Callable[[int], Sequence[int]]) -> None:
        self._code = code
        self._start = start
        self._behind_row = row
        self._rows: dict[int, Sequence[int]] = {}

    def behind(self, state: int) -> int | None:
        """The other automaton's state, once the whole code was read."""
        return state >> _READ_BITS if state & _READ_MASK == len(self._code) + 1 else None

    def row(self, state: int) -> Sequence[int]:
        """The states after each of the ten digits."""
        row = self._rows.get(state)
        if row is None:
            row = self._rows[state] = self._row(state)
        return row

    def _row(self, state: int) -> Sequence[int]:
        read = (state & _READ_MASK) - 1
        if read == len(self._code):
            return [after << _READ_BITS | read + 1 for after in self._behind_row(state >> _READ_BITS)]
        row = [self.NEVER] * 10
        if state != self.NEVER:
            is_last = read + 1 == len(self._code)
            row[int(self._code[read])] = (self._start << _READ_BITS if is_last else 0) | read + 2
        return row


def _cut(way: Alternative) -> Rewrite:
    """Drop the whole prefix."""
    length = len(way.classes)
    return Rewrite("", length, length, length)
