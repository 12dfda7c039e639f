"""Made-up people: a mobile number, a language, a name. The numbers are valid, so some may exist: never send to them."""

from __future__ import annotations

import random
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

# country: share, calling code, first digits of a mobile number, further digits, languages, cities
COUNTRIES: dict[str, tuple[float, str, tuple[str, ...], int, tuple[str, ...], tuple[str, ...]]] = {
    "BE": (0.52, "32", ("470", "471", "472", "475", "478", "486", "494", "495", "497", "498"), 6, ("nl", "nl", "fr"),
           ("Gent", "Antwerpen", "Liège", "Namur", "Leuven", "Brugge")),
    "NL": (0.14, "31", ("61", "62", "63", "64", "65"), 7, ("nl",), ("Utrecht", "Breda", "Groningen")),
    "FR": (0.10, "33", ("61", "62", "63", "66", "67"), 7, ("fr",), ("Lille", "Lyon", "Reims")),
    "DE": (0.07, "49", ("151", "160", "170", "175"), 7, ("de",), ("Aachen", "Köln", "Trier")),
    "LU": (0.04, "352", ("621", "661", "691"), 6, ("fr", "de"), ("Luxembourg", "Esch")),
    "GB": (0.03, "44", ("7400", "7500", "7712", "7812"), 6, ("en",), ("Leeds", "Bristol")),
    "ES": (0.03, "34", ("61", "62", "65"), 7, ("es",), ("Bilbao", "Sevilla")),
    "IT": (0.02, "39", ("320", "333", "347"), 7, ("it",), ("Torino", "Bari")),
    "AT": (0.02, "43", ("664", "676"), 7, ("de",), ("Graz", "Linz")),
    "US": (0.02, "1", ("212", "305", "415"), 7, ("en",), ("New York", "Miami")),
    "BR": (0.01, "55", ("119", "219"), 8, ("pt",), ("São Paulo", "Rio")),
}  # fmt: skip
FIRST_NAMES = (
    "An", "Lotte", "Jan", "Pieter", "Emma", "Noah", "Louise", "Arthur", "Mila", "Lucas", "Chloé", "Hugo", "Zoë",
    "Jürgen", "Anna", "Lena", "Paul", "Marie", "Sofía", "Diego", "Giulia", "Marco", "Grace", "Oliver", "João", "Inês",
    "Fatima", "Youssef", "D'Arcy", "Jean-Luc", "Ægir", "Łukasz", "李", "Ana María", "O\"Neill", "Zoé; dite Zo",
)  # fmt: skip
TRUNK_ZERO = ("BE", "NL", "FR", "DE", "GB", "AT")
MOBILE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


@dataclass(frozen=True, slots=True)
class Person:
    """One person. `number` is E.164."""

    number: str
    country: str
    language: str
    first_name: str
    city: str
    vip: bool


def make_people(dice: random.Random, count: int) -> list[Person]:
    """That many people with numbers of their own."""
    countries, shares = list(COUNTRIES), [each[0] for each in COUNTRIES.values()]
    taken: set[str] = set()
    people = []
    for country in dice.choices(countries, shares, k=count):
        number = _mobile(dice, country)
        while number in taken:
            number = _mobile(dice, country)
        taken.add(number)
        languages, cities = COUNTRIES[country][4:]
        people.append(
            Person(
                number,
                country,
                dice.choice(languages),
                dice.choice(FIRST_NAMES),
                dice.choice(cities),
                dice.random() < 0.15,
            )
        )
    return people


def written(dice: random.Random, number: str, *, country: str, abroad: bool) -> str:
    """A number in one of the ways people write it; with `abroad`, so that its country is told."""
    parsed = phonenumbers.parse(number)
    ways = ["e164", "spaces", "dots"]
    if country not in ("US", "BR"):  # there, one dials abroad with something else than 00
        ways += ["00", "00 spaces"]
    if not abroad:
        ways += ["national", "national digits", "national dots", "national slash"]
        ways += ["(0)"] if country in TRUNK_ZERO else []
    way = dice.choice(ways)
    if way == "e164":
        return number
    if way == "00":
        return "00" + number[1:]
    if way in ("spaces", "dots", "00 spaces"):
        international = phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)
        return {
            "spaces": international,
            "dots": international.replace(" ", "."),
            "00 spaces": "00" + international[1:],
        }[way]
    national = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    digits = "".join(each for each in national if each.isdigit())
    return {
        "national": f" {national} ",
        "national digits": digits,
        "national dots": national.replace(" ", "."),
        "national slash": national.replace(" ", "/", 1),
        "(0)": f"+{parsed.country_code} (0){digits[1:]}",
    }[way]


def landline(dice: random.Random) -> str:
    """A Belgian number that is no mobile."""
    while True:
        number = f"02 5{dice.randrange(10)}{dice.randrange(10)} {dice.randrange(100):02d} {dice.randrange(100):02d}"
        if phonenumbers.is_valid_number(phonenumbers.parse(number, "BE")):
            return number


def _mobile(dice: random.Random, country: str) -> str:
    _, code, prefixes, length, _, _ = COUNTRIES[country]
    while True:
        number = f"+{code}{dice.choice(prefixes)}{dice.randrange(10**length):0{length}d}"
        parsed = phonenumbers.parse(number)
        if (
            phonenumbers.is_valid_number_for_region(parsed, country)
            and phonenumbers.number_type(parsed) in MOBILE
        ):
            return number
