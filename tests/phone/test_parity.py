"""The bulk path says exactly what phonenumbers says."""

import os
import random

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from include.phone import normalize
from include.phone.cache import load_table
from include.phone.oracle import PROBLEMS, Number, classify, known_region
from include.phone.run import judge
from include.phone.table import UNDECIDED
from tests.phone.raw_numbers import NOISE, REGIONS, examples, random_rows, ways_to_write

# More: `PHONE_PARITY_ROWS=1000000 PHONE_PARITY_SEED=7 pytest tests/phone/test_parity.py`, some minutes.
ROWS = int(os.environ.get("PHONE_PARITY_ROWS", "12000"))
SEED = int(os.environ.get("PHONE_PARITY_SEED", "1"))


def assert_parity(rows: list[tuple[str | None, str | None]]) -> list[Number]:
    numbers, regions = (pa.array(column, pa.string()) for column in zip(*rows, strict=True))
    frame = normalize(numbers, regions)
    columns = [
        frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in Number._fields
    ]
    got = [Number(*row) for row in zip(*columns, strict=True)]
    expected = [classify(number, known_region(region)) for number, region in rows]
    differing = [(row, one, two) for row, one, two in zip(rows, got, expected, strict=True) if one != two]
    assert not differing, f"{len(differing)} of {len(rows)}, first (row, ours, phonenumbers): {differing[:5]}"
    return got


@pytest.mark.parametrize("region", [pytest.param(REGIONS[first::8], id=f"{first}") for first in range(8)])
def test_every_region_and_type_in_every_way_to_write_it(region: list[str]) -> None:
    rows: list[tuple[str | None, str | None]] = [
        (text, one)
        for one in region
        for national in examples(one)[:4]
        for text in ways_to_write(one, national)
    ]
    got = assert_parity(rows)
    assert sum(number.e164 is not None for number in got) > len(got) / 5, "the set must hold valid numbers"


def test_random_valid_nearly_valid_and_hostile_numbers() -> None:
    got = assert_parity(list(random_rows(ROWS, random.Random(SEED))))
    assert {number.problem for number in got} >= set(PROBLEMS) - {"empty", "unknown_region"} | {None}


def test_little_is_left_to_phonenumbers() -> None:
    """Of clean numbers of every region, in the ways people write them, none; this is where the speed is."""
    rows = [
        (way.format(code=phonenumbers.country_code_for_region(region), national=national), region)
        for region in REGIONS
        for national in examples(region)
        for way in (
            "+{code}{national}",
            "00{code} {national}",
            "{national}",
            "0{national}",
            "tel. {national},",
        )
    ]
    table = load_table()
    places = {region: place for place, region in enumerate(table.regions.tolist())}
    numbers, regions = zip(*rows, strict=True)
    which = pa.array([places[region] for region in regions]).to_numpy()
    final, _ = judge(table, pa.array(numbers), which)
    short = [len([c for c in number if c.isdigit()]) < 3 for number in numbers]
    assert [
        row for row, one, few in zip(rows, final, short, strict=True) if one == UNDECIDED and not few
    ] == []


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.text(st.sampled_from("0123456789+ -()" + NOISE), max_size=30),
                st.text(st.sampled_from("0123456789+"), max_size=24),
                st.text(max_size=40),
                st.none(),
            ),
            st.one_of(st.sampled_from(REGIONS), st.sampled_from(["", "ZZ", "001", "be", " nl "]), st.none()),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_anything_at_all(rows: list[tuple[str | None, str | None]]) -> None:
    assert_parity(rows)


@pytest.mark.parametrize("character", sorted(set(NOISE)), ids=lambda character: f"U+{ord(character):04X}")
def test_each_odd_character_in_each_place(character: str) -> None:
    rows: list[tuple[str | None, str | None]] = []
    for number in ("0470123456", "+32470123456", "0032470123456", "32470123456"):
        for at in range(len(number) + 1):
            rows += [(number[:at] + character * times + number[at:], "BE") for times in (1, 2)]
    assert_parity(rows)


@pytest.mark.parametrize("one", sorted(set(NOISE)), ids=lambda character: f"U+{ord(character):04X}")
def test_odd_characters_in_pairs_around_a_number(one: str) -> None:
    rows: list[tuple[str | None, str | None]] = []
    for other in sorted(set(NOISE)):
        for number in ("0470123456", "+32470123456", "020"):
            rows += [
                (f"{number}{one}{other}", "BE"),
                (f"{one}{other}{number}", "BE"),
                (f"{one}{number}{other}", "BE"),
            ]
            rows += [(f"{number[:4]}{one}{other}{number[4:]}", "BE"), (f"{number}{one}1{other}", "BE")]
    assert_parity(rows)


def test_very_long_texts() -> None:
    number = "+32470123456"
    rows: list[tuple[str | None, str | None]] = [
        (filler * times + number + tail, "BE")
        for filler in (" ", "x", "\u00a0", "é", "0", "(")
        for times in (30, 119, 237, 238, 239, 400, 5000)
        for tail in ("", " ", "'" * 60, "0" * 300)
    ]
    assert_parity(rows)


def test_the_oracle_is_what_phonenumbers_says() -> None:
    for raw, region in random_rows(2_000, random.Random(SEED + 1)):
        found = classify(raw, region)
        try:
            number = phonenumbers.parse(raw, region)
        except phonenumbers.NumberParseException:
            assert found.e164 is None, (raw, region)
            continue
        assert (found.problem is None) == phonenumbers.is_valid_number(number), (raw, region)
        if found.problem is None:
            kind = phonenumbers.number_type(number)
            assert found == Number(
                e164=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
                country=(phonenumbers.region_code_for_number(number) or "").replace("001", "") or None,
                is_mobile=kind in {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE},
                problem=None,
            ), (raw, region)
