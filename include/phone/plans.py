"""The numbering plan of one calling code, read from phonenumbers' metadata.

Mirrors `phonenumberutil` 9.0: `_test_number_length`, `_number_type_helper`, `_region_code_for_number_from_list`
and the rule of `_maybe_strip_national_prefix_carrier_code`. Each is a function of the digits alone, which is
what makes an automaton of it possible; `tests/phone` compares every step with the original.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberDesc

from include.phone.patterns import Alternative, PatternSet, UnsupportedPattern, alternatives

NON_GEOGRAPHICAL = "001"
MAX_NATIONAL_DIGITS = 17
"""`phonenumberutil._MAX_LENGTH_FOR_NSN`"""
MAX_CODE_DIGITS = 3
"""`phonenumberutil._MAX_LENGTH_COUNTRY_CODE`"""

# In the order in which `_number_type_helper` asks.
_SPECIAL_TYPES = (
    "premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """What a national significant number is: its region, and whether it is a mobile one."""

    region: str
    is_mobile: bool


class Rewrite(NamedTuple):
    """What stripping a national prefix does to digits `y`: `literal + y[start:stop] + y[end:]`."""

    literal: str
    start: int
    stop: int
    end: int

    @property
    def is_suffix(self) -> bool:
        """Whether what is left is simply the end of the digits."""
        return not self.literal and self.start == self.stop

    def length(self, before: int) -> int:
        """How many digits are left of `before`."""
        return len(self.literal) + self.stop - self.start + before - self.end


class Plan:
    """One calling code: its regions (the main one first) and all their patterns run side by side."""

    def __init__(self, code: int) -> None:
        self.code = code
        regions = phonenumbers.region_codes_for_country_code(code)
        self.regions = {region: _metadata(code, region) for region in regions}
        self.main = regions[0]
        self._bits: dict[tuple[str, str], int] = {}
        self._kinds: dict[tuple[int, int], Kind | None] = {}
        self.length_problem = cache(self._length_problem)
        patterns: list[tuple[str, bool]] = []
        for region, metadata in self.regions.items():
            for name in ("general_desc", "fixed_line", "mobile", *_SPECIAL_TYPES):
                desc = getattr(metadata, name)
                if desc is not None and desc.national_number_pattern:
                    self._bits[region, name] = 1 << len(patterns)
                    patterns.append((desc.national_number_pattern, False))
            if metadata.leading_digits is not None:
                self._bits[region, "leading_digits"] = 1 << len(patterns)
                patterns.append((metadata.leading_digits, True))
        self.patterns = PatternSet(patterns)

    def general(self, region: str) -> PatternSet:
        """The one pattern that every number of the region has, whatever its type."""
        return PatternSet([(_general(self.regions[region]).national_number_pattern or "", False)])

    def kind(self, state: int, length: int) -> Kind | None:
        """What the `length` digits that led to `state` are as a national number; None if not valid."""
        key = (self.patterns.matched(state), length)
        if key not in self._kinds:
            self._kinds[key] = self._kind(*key)
        return self._kinds[key]

    def _length_problem(self, region: str, length: int) -> str | None:
        """Why no number of `region` has this many digits: too_short, too_long, local_only, invalid."""
        general = _general(self.regions[region])
        possible = general.possible_length
        if length in general.possible_length_local_only:
            return "local_only"
        if length < possible[0]:
            return "too_short"
        if length > possible[-1]:
            return "too_long"
        return None if length in possible else "invalid"

    def _kind(self, matched: int, length: int) -> Kind | None:
        for region, metadata in self.regions.items():
            mobile = self._is_mobile(region, metadata, matched, length)
            leading = self._bits.get((region, "leading_digits"))
            if len(self.regions) > 1 and leading is not None and matched & leading:
                return None if mobile is None else Kind(region, mobile)
            if mobile is not None and (len(self.regions) == 1 or leading is None):
                return Kind(region, mobile)
        return None

    def _is_mobile(self, region: str, metadata: PhoneMetadata, matched: int, length: int) -> bool | None:
        """Mobile, or valid but not mobile; None if the number is not one of this region's."""

        def fits(name: str) -> bool:
            bit = self._bits.get((region, name), 0)
            lengths = getattr(metadata, name).possible_length if bit else ()
            return bool(matched & bit) and (not lengths or length in lengths)

        if not fits("general_desc"):
            return None
        if any(fits(name) for name in _SPECIAL_TYPES):
            return False
        if fits("fixed_line"):
            return bool(metadata.same_mobile_and_fixed_line_pattern) or fits("mobile")
        if not metadata.same_mobile_and_fixed_line_pattern and fits("mobile"):
            return True
        return None


def national_prefixes(metadata: PhoneMetadata) -> list[tuple[Alternative, Rewrite]]:
    """The ways a region's national prefix can be written, in order, and what is left without it."""
    pattern = metadata.national_prefix_for_parsing
    if not pattern:
        return []
    last_group = re.compile(pattern).groups
    return [(way, _rewrite(way, metadata.national_prefix_transform_rule, last_group))
            for way in alternatives(pattern)]  # fmt: skip


def international_prefixes(metadata: PhoneMetadata) -> list[Alternative]:
    """The ways to dial abroad from a region, in the order in which they are tried."""
    return alternatives(metadata.international_prefix) if metadata.international_prefix else []


def _rewrite(way: Alternative, rule: str | None, last_group: int) -> Rewrite:
    length = len(way.classes)
    if not rule or last_group not in way.groups:
        return Rewrite("", length, length, length)
    literal, group = _read_rule(rule)
    if group != last_group:
        raise UnsupportedPattern(f"transform rule {rule!r} uses a group that is not the last")
    start, stop = way.groups[group]
    # Nothing dropped in between: the same text as one piece.
    return Rewrite(literal, start, start, start) if stop == length else Rewrite(literal, start, stop, length)


def _read_rule(rule: str) -> tuple[str, int]:
    match = re.fullmatch(r"([0-9]*)\\([1-9])", rule)
    if match is None:
        raise UnsupportedPattern(f"transform rule {rule!r}")
    return match[1], int(match[2])


def _general(metadata: PhoneMetadata) -> PhoneNumberDesc:
    if metadata.general_desc is None or not metadata.general_desc.national_number_pattern:
        raise UnsupportedPattern(f"{metadata.id} has no general pattern")
    return metadata.general_desc


def _metadata(code: int, region: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    if metadata is None:
        raise UnsupportedPattern(f"no metadata for {region}")
    return metadata


def calling_codes() -> Sequence[int]:
    """Every calling code that phonenumbers has a plan for, ascending."""
    return sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
