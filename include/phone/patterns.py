"""The regular expressions of phonenumbers' metadata as automata over the ten digits.

The metadata uses a small part of the language: digits, classes, groups, alternatives, bounded repeats and a
final `$`. Anything else raises `UnsupportedPattern`, and the numbering plan that uses it is left to
phonenumbers. Parsing is the standard library's; stepping is by Antimirov's partial derivatives, which share
equal tails (`\\d{6}` after two hundred area codes is one state) and so come out nearly minimal.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

# Same parser as `re.compile`; the public name, sre_parse, has been deprecated since Python 3.11.
_parse = re._parser.parse  # type: ignore[attr-defined]  # noqa: SLF001
_MAXREPEAT = re._constants.MAXREPEAT  # type: ignore[attr-defined]  # noqa: SLF001

ALL_DIGITS = (1 << 10) - 1
MAX_ALTERNATIVES = 5_000
_DIGITS_OF = [[digit for digit in range(10) if mask >> digit & 1] for mask in range(1 << 10)]

# A pattern's number and what is left of it; None is what a prefix pattern that was met leaves.
_Item = tuple[int, tuple[int, ...] | None]


class UnsupportedPattern(Exception):
    """A regular expression that this module does not read; its plan is decided by phonenumbers instead."""


@dataclass(frozen=True)
class Alternative:
    """One way a prefix pattern can match: a fixed number of digits, each from its class.

    `classes` are bit masks of digits. `anchored` means that the text must end there. `groups` maps a group's
    number to the half-open range of positions it captures.
    """

    classes: tuple[int, ...]
    anchored: bool
    groups: dict[int, tuple[int, int]] = field(compare=False)


def alternatives(pattern: str) -> list[Alternative]:
    """Every way `pattern` can match at the start of a text, in the order `re` tries them.

    The first one that fits is the one `re.match` would take, so that its length is the end of the match.
    """
    ways = []
    for classes, anchored, groups in _expand(list(_parse(pattern))):
        ways.append(Alternative(classes, anchored, groups))
        if len(ways) > MAX_ALTERNATIVES:
            raise UnsupportedPattern(f"more than {MAX_ALTERNATIVES} alternatives")
    return ways


class PatternSet:
    """Several patterns run side by side over one digit string.

    A state is an int. `step(state, digit)` follows one digit, `matched(state)` tells as a bit mask which
    patterns accept what was read so far: the whole of it, or for a prefix pattern any beginning of it. From
    `dead` none ever will.
    """

    def __init__(self, patterns: Sequence[tuple[str, bool]]) -> None:
        """`patterns` are pairs of a regular expression and whether it is a prefix pattern."""
        self._prefix = [prefix for _, prefix in patterns]
        self._nodes: dict[tuple[Any, ...], int] = {}
        self._node_list: list[tuple[Any, ...]] = []
        self._linear_memo: dict[tuple[int, ...], tuple[bool, list[tuple[int, tuple[int, ...]]]]] = {}
        self._ids: dict[frozenset[_Item], int] = {}
        self._items: list[frozenset[_Item]] = []
        self._rows: list[tuple[int, ...] | None] = []
        self._masks: list[int] = []
        self.dead = self._state(frozenset())
        sequences = [self._intern(list(_parse(pattern))) for pattern, _ in patterns]
        self.start = self._state(frozenset(enumerate(sequences)))

    def step(self, state: int, digit: int) -> int:
        """The state after one more digit (0–9)."""
        return self.row(state)[digit]

    def row(self, state: int) -> tuple[int, ...]:
        """The states after each of the ten digits."""
        row = self._rows[state]
        if row is None:
            row = self._rows[state] = self._row(state)
        return row

    def feed(self, state: int, digits: str) -> int:
        """The state after all of `digits`."""
        for digit in digits:
            state = self.step(state, int(digit))
        return state

    def matched(self, state: int) -> int:
        """Bit i is set when pattern i accepts."""
        return self._masks[state]

    def _row(self, state: int) -> tuple[int, ...]:
        following: list[list[_Item]] = [[] for _ in range(10)]
        for tag, sequence in self._items[state]:
            heads = [(ALL_DIGITS, None)] if sequence is None else self._linear(sequence)[1]
            for mask, rest in heads:
                for digit in _DIGITS_OF[mask]:
                    following[digit].append((tag, rest))
        return tuple(self._state(frozenset(items)) for items in following)

    def _state(self, items: frozenset[_Item]) -> int:
        """The number of the state that holds these (pattern, what is left of it); None is left for ever."""
        known = self._ids.get(items)
        if known is None:
            known = self._ids[items] = self._new_state(items)
        return known

    def _new_state(self, items: frozenset[_Item]) -> int:
        accepted, kept = 0, set()
        for tag, sequence in items:
            nullable = sequence is None or self._linear(sequence)[0]
            accepted |= nullable << tag
            kept.add((tag, None if nullable and self._prefix[tag] else sequence))
        key = frozenset(kept)
        if key != items and key in self._ids:
            return self._ids[key]
        self._ids[key] = len(self._items)
        self._items.append(key)
        self._rows.append(None)
        self._masks.append(accepted)
        return self._ids[key]

    def _intern(self, tree: list[Any]) -> tuple[int, ...]:
        return tuple(self._node(self._read(op, argument)) for op, argument in tree)

    def _read(self, op: Any, argument: Any) -> tuple[Any, ...]:
        name = str(op)
        if name == "BRANCH":
            return ("alternatives", tuple(self._intern(list(branch)) for branch in argument[1]))
        if name == "SUBPATTERN":
            return ("alternatives", (self._intern(list(argument[3])),))
        if name == "MAX_REPEAT" and argument[1] is not _MAXREPEAT:
            return ("repeat", argument[0], argument[1], self._intern(list(argument[2])))
        return ("digit", _digit_class(op, argument))

    def _node(self, node: tuple[Any, ...]) -> int:
        if node not in self._nodes:
            self._nodes[node] = len(self._node_list)
            self._node_list.append(node)
        return self._nodes[node]

    def _linear(self, sequence: tuple[int, ...]) -> tuple[bool, list[tuple[int, tuple[int, ...]]]]:
        """Whether `sequence` accepts nothing, and each (digits it can start with, what is then left)."""
        if sequence not in self._linear_memo:
            self._linear_memo[sequence] = self._linear_form(sequence)
        return self._linear_memo[sequence]

    def _linear_form(self, sequence: tuple[int, ...]) -> tuple[bool, list[tuple[int, tuple[int, ...]]]]:
        starts: list[tuple[int, tuple[int, ...]]] = []
        for position, node_id in enumerate(sequence):
            rest = sequence[position + 1 :]
            kind, *arguments = self._node_list[node_id]
            if kind == "digit":
                starts.append((arguments[0], rest))
                return False, starts
            if kind == "alternatives":
                skippable = False
                for branch in arguments[0]:
                    nullable, heads = self._linear(branch)
                    skippable |= nullable
                    starts += [(mask, tail + rest) for mask, tail in heads]
            else:
                least, most, body = arguments
                nullable, heads = self._linear(body)
                skippable = nullable or least == 0
                if most > 1:
                    rest = (self._node(("repeat", max(least - 1, 0), most - 1, body)), *rest)
                if most > 0:
                    starts += [(mask, tail + rest) for mask, tail in heads]
            if not skippable:
                return False, starts
        return True, starts


_Way = tuple[tuple[int, ...], bool, dict[int, tuple[int, int]]]


def _expand(tree: list[Any]) -> Iterator[_Way]:
    if not tree:
        yield (), False, {}
        return
    (op, argument), rest = tree[0], tree[1:]
    for head, ended, groups in _expand_one(op, argument):
        for tail, tail_ended, tail_groups in _expand(rest):
            if ended and tail:
                continue
            shifted = {g: (a + len(head), b + len(head)) for g, (a, b) in tail_groups.items()}
            yield head + tail, ended or tail_ended, groups | shifted


def _expand_one(op: Any, argument: Any) -> Iterator[_Way]:
    name = str(op)
    if name == "BRANCH":
        for branch in argument[1]:
            yield from _expand(list(branch))
    elif name == "SUBPATTERN":
        for classes, ended, groups in _expand(list(argument[3])):
            own = {argument[0]: (0, len(classes))} if argument[0] is not None else {}
            yield classes, ended, groups | own
    elif name == "MAX_REPEAT" and argument[1] is not _MAXREPEAT:
        for times in range(argument[1], argument[0] - 1, -1):
            yield from _expand(list(argument[2]) * times)
    elif name == "AT" and str(argument) == "AT_END":
        yield (), True, {}
    else:
        yield (_digit_class(op, argument),), False, {}


def _digit_class(op: Any, argument: Any) -> int:
    """The bit mask of the digits that one character of a pattern accepts."""
    name = str(op)
    if name == "LITERAL" and chr(argument).isdecimal():
        return 1 << int(chr(argument))
    if name == "RANGE":
        return sum(1 << digit for digit in range(10) if argument[0] <= ord(str(digit)) <= argument[1])
    if name == "CATEGORY" and str(argument) == "CATEGORY_DIGIT":
        return ALL_DIGITS
    if name == "ANY":
        return ALL_DIGITS
    if name == "IN":
        mask = 0
        for inner_op, inner_argument in argument:
            mask |= _digit_class(inner_op, inner_argument)
        return mask
    raise UnsupportedPattern(f"{name} {argument}")
