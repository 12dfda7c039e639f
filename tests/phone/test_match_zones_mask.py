"""Match keys, time zones and masks."""

import random
import zoneinfo

import pandas as pd
import phonenumbers
import pyarrow as pa
import pytest
from phonenumbers import timezone

from include.phone import mask, match_key, time_zone
from tests.phone.raw_numbers import REGIONS, examples


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+525512345678", "+5215512345678"),
        ("+541123456789", "+5491123456789"),
        ("+551161234567", "+5511961234567"),
    ],
)
def test_two_ways_to_write_a_number_have_one_key(one: str, other: str) -> None:
    assert match_key(one) == match_key(other) == one


@pytest.mark.parametrize(
    "number",
    [
        "+32470123456", "+5212345678", "+521234567890", "+52155123456789", "+5491234567", "+55119612345",
        "+551131234567", "+5511861234567", "+19995551234", "+155119612345", "", "521 55 1234 5678",
    ],
)  # fmt: skip
def test_every_other_number_is_its_own_key(number: str) -> None:
    assert match_key(number) == number


def test_keys_of_a_column() -> None:
    numbers = pd.Series(["+5215512345678", None, "+32470123456", "+5511961234567"], index=[4, 3, 2, 1])
    keys = match_key(numbers)
    assert keys.index.tolist() == [4, 3, 2, 1]
    assert keys.fillna("-").tolist() == ["+525512345678", "-", "+32470123456", "+551161234567"]
    assert match_key(pa.array([None], pa.string())).isna().all()
    assert match_key(None) is None
    assert match_key(keys.dropna()).tolist() == keys.dropna().tolist(), "a key is its own key"


@pytest.mark.parametrize(
    ("of", "zone"),
    [
        ("+32470123456", "Europe/Brussels"),
        ("+12125550123", "America/New_York"),
        ("+14155550123", "America/Los_Angeles"),
        ("+79161234567", "Europe/Moscow"),
        ("+351912345678", "Europe/Lisbon"),
        ("+34612345678", "Europe/Madrid"),
        ("+447400123456", "Europe/London"),
        ("+5511961234567", "America/Sao_Paulo"),
        ("+5592961234567", "America/Manaus"),
        ("BE", "Europe/Brussels"),
        (" pt ", "Europe/Lisbon"),
        ("US", "America/New_York"),
        ("+80012345678", None),
        ("+999", None),
        ("", None),
        ("XX", None),
        ("nonsense", None),
        ("0470123456", None),
        (None, None),
    ],
)
def test_time_zone(of: str | None, zone: str | None) -> None:
    assert time_zone(of) == zone
    assert time_zone(pa.array([of], pa.string())).fillna("-").tolist() == [zone or "-"]


def test_zones_are_among_those_of_phonenumbers_and_exist() -> None:
    chance = random.Random(3)
    numbers = []
    for region in REGIONS:
        code = phonenumbers.country_code_for_region(region)
        for national in examples(region):
            numbers += [f"+{code}{national[:4]}{chance.randrange(10**5):05d}" for _ in range(5)]
    zones = time_zone(pd.Series(numbers)).fillna(timezone.UNKNOWN_TIMEZONE).tolist()
    for number, zone in zip(numbers, zones, strict=True):
        code = phonenumbers.parse(number).country_code
        parsed = phonenumbers.PhoneNumber(
            country_code=code, national_number=int(number[1 + len(str(code)) :])
        )
        if phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == number:
            assert zone in timezone.time_zones_for_geographical_number(parsed), number
    assert set(zones) - {timezone.UNKNOWN_TIMEZONE} <= zoneinfo.available_timezones()


def test_every_country_has_a_time_zone() -> None:
    without = [region for region in REGIONS if time_zone(region) is None]
    assert without == ["AC", "TA", "XK"] or len(without) < 5, without


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+32470123456", "+32*****456"),
        ("+12015550123", "+1*****123"),
        ("+351912345678", "+351*****678"),
        ("+2902158", "+290*****"),
        ("0470123456", "*****"),
        ("+", "*****"),
        ("+9990123456", "*****"),
        ("+32 470 12 34 56", "*****"),
        ("+\u0663\u0662470123456", "*****"),
        ("", "*****"),
        (None, "*****"),
    ],
)
def test_mask(number: str | None, masked: str) -> None:
    assert mask(number) == masked
