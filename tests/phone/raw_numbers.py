"""Raw phone numbers as people, systems and attackers write them, of every region phonenumbers knows."""

import random
from collections.abc import Iterator

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberType

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)

# Separators, extension marks, quotes, controls, other scripts, invisible marks of copied numbers, non-BMP digits.
NOISE = (
    " -./()[]+'\",;:xX#*_~abcTel\\\t\n\r\x00\x1b"
    "\u00a0\u00ad\u200b\u2011\u202a\u202c\u3000\uff08\uff0b\uff11\u0661\u06f2\u0967\u00b2\u30fc\uff5e\u2053é\U0001d7d8\U0001f4de"
)

SCRIPTS = (
    "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19",
    "٠١٢٣٤٥٦٧٨٩",
    "۰۱۲۳۴۵۶۷۸۹",
    "०१२३४५६७८९",
)
EXTENSIONS = (
    " ext. 12", " x5", "ext 123456789", " anexo 7", "#44", " доб. 3", ";ext=99", ",,123#", "x",
    "\uff45\uff58\uff54 5", " int 9", "~3", " Ext",
)  # fmt: skip
INSIDE = ("FLOWERS", "abc", "WhatsApp", "o", "O", "l", "+", "\uff0b", "++", "(0)", "(00)", "00", " (0) ")


def examples(region: str) -> list[str]:
    """National significant numbers of every type the region has."""
    numbers = (phonenumbers.example_number_for_type(region, kind) for kind in PhoneNumberType.values())
    return [phonenumbers.national_significant_number(number) for number in numbers if number]


def ways_to_write(region: str, national: str) -> Iterator[str]:
    """One number with every kind of prefix, right and wrong."""
    metadata = PhoneMetadata.metadata_for_region(region)
    code = str(phonenumbers.country_code_for_region(region))
    trunk = metadata.national_prefix or "0"
    for prefix in (
        "", trunk, "0", "1", "8", "15", "045", "00", "000", "+", "++", "+0", "+ ", "(+",
        f"+{code}", f"+{code}{trunk}", f"+{code} (0)", f"(+{code}) ", f"00{code}", f"00{code}0", f"011{code}",
        f"810{code}", f"{code}", f"{code}{trunk}", f"{code}{code}", f"+{code}{code}", f"0{code}", f"+00{code}",
        f"Tel: +{code}-", "tel:", f"*{trunk}", f"#31#{trunk}",
    ):  # fmt: skip
        yield prefix + national


def random_rows(count: int, chance: random.Random) -> list[tuple[str, str]]:
    """Pairs of a raw number and a region: valid ones, nearly valid ones and noise."""
    known = {region: examples(region) for region in REGIONS}
    rows = []
    while len(rows) < count:
        region = chance.choice(REGIONS)
        origin = region if chance.random() < 0.6 else chance.choice(REGIONS)
        national = chance.choice(known[origin])
        if chance.random() < 0.4:
            kept = chance.randrange(len(national))
            national = national[:kept] + _digits(len(national) - kept, chance)
        if chance.random() < 0.1:
            national = _digits(chance.randrange(1, 20), chance)
        ways = list(ways_to_write(origin, national))
        rows.append((_odd(_damaged(chance.choice(ways), chance), chance), region))
    return rows


def _odd(text: str, chance: random.Random) -> str:
    """Now and then an extension, letters or a plus in between, or digits of another script."""
    kind = chance.random()
    if kind < 0.06:
        return text + chance.choice(EXTENSIONS)
    if kind < 0.12:
        at = chance.randrange(len(text) + 1)
        return text[:at] + chance.choice(INSIDE) + text[at:]
    if kind < 0.16:
        return text.translate(str.maketrans("0123456789", chance.choice(SCRIPTS)))
    return text


def _digits(count: int, chance: random.Random) -> str:
    return "".join(chance.choices("0123456789", k=count))


def _damaged(text: str, chance: random.Random) -> str:
    characters = list(text)
    for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 3))):
        at = chance.randrange(len(characters) + 1)
        kind = chance.random()
        if kind < 0.35:
            characters[at : at + 1] = chance.choice("0123456789")
        elif kind < 0.5:
            characters[at:at] = chance.choice("0123456789")
        elif kind < 0.65:
            characters[at : at + 1] = []
        else:
            characters[at:at] = chance.choice(NOISE)
    return "".join(characters)
