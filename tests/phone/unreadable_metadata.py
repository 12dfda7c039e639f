"""A program: phonenumbers' metadata with patterns that we do not read, as a later version might have them."""

import random

import phonenumbers

from tests.phone.raw_numbers import random_rows
from tests.phone.test_parity import assert_parity

REGIONS = ["LU", "JE", "GB", "BE", "FR"]


def put(region: str, field: str, pattern: str) -> None:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    *path, name = field.split(".")
    for step in path:
        metadata = getattr(metadata, step)
    object.__setattr__(metadata, name, pattern)  # The library's own objects refuse to be changed.


if __name__ == "__main__":
    put("LU", "national_prefix_for_parsing", r"(?=1)15\d*")
    put("JE", "national_prefix_for_parsing", r"([0-24-8]\d{5})$|0+")
    put("BE", "mobile.national_number_pattern", r"4\d+")
    put("FR", "international_prefix", r"00+")
    chance = random.Random(3)
    assert_parity(
        [(number, chance.choice([region, *REGIONS])) for number, region in random_rows(8_000, chance)]
    )
    valid = assert_parity(
        [("0470123456", "BE"), ("+32470123456", "US"), ("0612345678", "FR"), ("628123456", "LU")]
    )
    assert all(number.e164 for number in valid), "such numbers are still understood"
