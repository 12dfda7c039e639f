"""How fast a column of raw numbers becomes E.164, beside phonenumbers on the same rows in the same run."""

import random
import time

import pandas as pd
import phonenumbers
import pyarrow as pa
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from include.phone.bulk import normalize
from include.phone.cache import load_table
from include.phone.columns import STRING
from include.phone.oracle import Number, classify
from include.phone.table import build_table

HOME_REGIONS = ("BE", "NL", "FR", "DE", "GB", "IT")
JUNK = ("", "n/a", "onbekend", "-", "0", "123", "geen gsm", "jan@example.org", "0000000000", "see notes", "?")


def e164(rows: int = 1_000_000, sample: int = 100_000) -> dict[str, object]:
    """Numbers per second of processor time, over `rows` mixed numbers; the baseline over `sample` of them.

    Processor time, because "on one core" is meant, and because other work on the machine then counts for neither.
    `disagreements` are rows of the sample where any column differs from `oracle.classify`.
    """
    started = time.process_time()
    build_table()
    built = time.process_time()
    load_table()
    numbers, regions = mixed_numbers(rows, random.Random(11))  # noqa: S311 - the same data each run
    seconds = []
    for _ in range(3):
        begun = time.process_time()
        frame = normalize(numbers, regions)
        seconds.append(time.process_time() - begun)
    value = rows / min(seconds)

    picked = sorted(random.Random(12).sample(range(rows), min(sample, rows)))  # noqa: S311 - ditto
    pairs = list(zip(numbers.take(picked).to_pylist(), regions.take(picked).to_pylist(), strict=True))
    begun = time.process_time()
    for number, region in pairs:
        _as_usual(number, region)
    baseline = len(picked) / (time.process_time() - begun)
    expected = [classify(number, region) for number, region in pairs]
    return {
        "value": round(value),
        "unit": "numbers/s",
        "baseline": round(baseline),
        "ratio": round(value / baseline, 1),
        "disagreements": disagreements(frame.iloc[picked], expected),
        "rows": rows,
        "compared": len(picked),
        "valid": int(frame["e164"].notna().sum()),
        "build_seconds": round(built - started, 2),
    }


def _as_usual(raw: str, region: str) -> tuple[str, str | None, int] | None:
    """The loop that people write around phonenumbers."""
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return (
        phonenumbers.format_number(number, PhoneNumberFormat.E164),
        phonenumbers.region_code_for_number(number),
        phonenumbers.number_type(number),
    )


def disagreements(frame: pd.DataFrame, expected: list[Number]) -> int:
    """Rows of `normalize`'s answer that differ in any column from the oracle's."""
    columns = [pa.array(frame[name].astype(STRING)) for name in ("e164", "country", "problem")]
    e164, country, problem = (column.to_pylist() for column in columns)
    rows = zip(e164, country, frame["is_mobile"].tolist(), problem, strict=True)
    return sum(Number(*row) != one for row, one in zip(rows, expected, strict=True))


def mixed_numbers(rows: int, chance: random.Random) -> tuple[pa.Array, pa.Array]:
    """Raw numbers and the region of each, as a mailing list holds them.

    70 % national formats of six countries, 25 % international ones of 60, 5 % landlines and junk; of all these
    10 % are repeats.
    """
    home = {region: _templates(region, PhoneNumberType.MOBILE, national=True) for region in HOME_REGIONS}
    fixed = {region: _templates(region, PhoneNumberType.FIXED_LINE, national=True) for region in HOME_REGIONS}
    abroad = [
        template
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)[::4][:60]
        for template in _templates(region, PhoneNumberType.MOBILE, national=False)
    ]
    numbers: list[str] = []
    regions: list[str] = []
    for _ in range(rows):
        share = chance.random()
        region = chance.choice(HOME_REGIONS)
        if numbers and chance.random() < 0.1:
            again = chance.randrange(len(numbers))
            number, region = numbers[again], regions[again]
        elif share < 0.70:
            number = _fill(chance.choice(home[region]), chance)
        elif share < 0.95:
            number = _fill(chance.choice(abroad), chance)
        else:
            number = chance.choice(JUNK) if share < 0.96 else _fill(chance.choice(fixed[region]), chance)
            if share > 0.99:
                number += chance.choice((" (werk)", " x12", " thuis", "\u00a0", "/ 2", "a"))
        numbers.append(number)
        regions.append(region)
    return pa.array(numbers, pa.string()), pa.array(regions, pa.string())


def _templates(region: str, kind: int, *, national: bool) -> list[str]:
    """Ways to write a number of this kind; `{0}`… are six digits to be filled in."""
    number = phonenumbers.example_number_for_type(region, kind)
    if number is None:
        return []
    if national:
        pretty = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        digits = phonenumbers.normalize_digits_only(pretty)
        written = [
            pretty,
            digits,
            pretty.replace(" ", "."),
            pretty.replace(" ", "-"),
            f"{digits[:4]}/{digits[4:]}",
        ]
    else:
        pretty = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
        plain = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        written = [
            pretty,
            plain,
            pretty.replace("+", "00"),
            plain.replace("+", "00"),
            pretty.replace(" ", " (0)", 1),
        ]
    return [_with_slots(text) for text in written]


def _with_slots(text: str) -> str:
    slot, characters = 5, []
    for character in reversed(text):
        if character.isdigit() and slot >= 0:
            characters.append(f"}}{slot}{{")
            slot -= 1
        else:
            characters.append(character)
    return "".join(characters)[::-1]


def _fill(template: str, chance: random.Random) -> str:
    return template.format(*f"{chance.randrange(1_000_000):06d}")
