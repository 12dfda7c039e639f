"""Every regular expression of phonenumbers' metadata, against `re` itself."""

import random
import re

import phonenumbers
import pytest
from phonenumbers import PhoneMetadata

from include.phone.patterns import PatternSet, UnsupportedPattern, alternatives
from include.phone.plans import Plan, calling_codes

REGIONS = [PhoneMetadata.metadata_for_region(region) for region in sorted(phonenumbers.SUPPORTED_REGIONS)]


def digits(chance: random.Random, starts: list[str]) -> str:
    start = chance.choice(starts)[: chance.randrange(12)]
    return start + "".join(chance.choices("0123456789", k=chance.randrange(18 - len(start))))


def test_national_number_patterns() -> None:
    chance = random.Random(5)
    for metadata in REGIONS:
        descs = [
            metadata.general_desc,
            metadata.fixed_line,
            metadata.mobile,
            metadata.voip,
            metadata.toll_free,
        ]
        texts = [desc.national_number_pattern for desc in descs if desc and desc.national_number_pattern]
        texts += [metadata.leading_digits] if metadata.leading_digits else []
        prefix = [text == metadata.leading_digits for text in texts]
        patterns = PatternSet(list(zip(texts, prefix, strict=True)))
        starts = [desc.example_number for desc in descs if desc and desc.example_number]
        for _ in range(40):
            number = digits(chance, [*starts, ""])
            state = patterns.feed(patterns.start, number)
            expected = [
                bool(re.match(text, number) if is_prefix else re.fullmatch(text, number))
                for text, is_prefix in zip(texts, prefix, strict=True)
            ]
            got = [bool(patterns.matched(state) >> index & 1) for index in range(len(texts))]
            assert got == expected, (metadata.id, number)


@pytest.mark.parametrize("field", ["national_prefix_for_parsing", "international_prefix"])
def test_prefixes_match_as_far_as_re_does(field: str) -> None:
    chance = random.Random(6)
    patterns = {text for metadata in REGIONS if (text := getattr(metadata, field))}
    assert len(patterns) > 30
    for text in patterns:
        ways = alternatives(text)
        for _ in range(150):
            way = chance.choice(ways)
            start = "".join(
                chance.choice([str(digit) for digit in range(10) if mask >> digit & 1])
                for mask in way.classes
            )
            number = digits(chance, [start, start + "1" * 7, ""])
            match = re.match(text, number)
            fitting = [one for one in ways if fits(one.classes, number, anchored=one.anchored)]
            assert (match is None) == (not fitting), (text, number)
            if match:
                assert match.end() == len(fitting[0].classes), (text, number)
                groups = {index: number[slice(*span)] for index, span in fitting[0].groups.items()}
                expected = {index: part for index, part in enumerate(match.groups(), 1) if part is not None}
                assert groups == expected, (text, number)


def fits(classes: tuple[int, ...], number: str, *, anchored: bool) -> bool:
    if len(number) < len(classes) or (anchored and len(number) != len(classes)):
        return False
    return all(mask >> int(digit) & 1 for mask, digit in zip(classes, number, strict=False))


@pytest.mark.parametrize("pattern", [r"(?=1)\d", r"\d+", r"1*", r"(\d)\1", r"^1", r"[^1]", r"a", r"\D"])
def test_what_is_not_read_is_said(pattern: str) -> None:
    with pytest.raises(UnsupportedPattern):
        PatternSet([(pattern, False)])
    with pytest.raises(UnsupportedPattern):
        alternatives(pattern)


def test_every_plan_of_the_installed_metadata_is_read() -> None:
    assert len([Plan(code) for code in calling_codes()]) > 200
