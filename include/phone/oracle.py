"""What a raw phone number is, asked of `phonenumbers` itself: the definition every faster way must equal."""

from typing import NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType, ValidationResult

MOBILE_TYPES = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})

_PARSE_PROBLEMS = {
    NumberParseException.INVALID_COUNTRY_CODE: "unknown_country_code",
    NumberParseException.NOT_A_NUMBER: "not_a_number",
    NumberParseException.TOO_SHORT_AFTER_IDD: "too_short",
    NumberParseException.TOO_SHORT_NSN: "too_short",
    NumberParseException.TOO_LONG: "too_long",
}
_LENGTH_PROBLEMS = {
    ValidationResult.TOO_SHORT: "too_short",
    ValidationResult.TOO_LONG: "too_long",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "local_only",
}

PROBLEMS = (
    "empty",
    "not_a_number",
    "too_short",
    "too_long",
    "local_only",
    "invalid",
    "unknown_region",
    "unknown_country_code",
)
"""Every code that `problem` can hold. `local_only` is a number without its area code."""


class Number(NamedTuple):
    """One row of `normalize`'s answer; the names are its columns."""

    e164: str | None
    country: str | None
    is_mobile: bool
    problem: str | None


def known_region(region: str | None) -> str | None:
    """The region as phonenumbers writes it (`" be "` → `"BE"`), or None if it has no numbering plan."""
    code = region.strip().upper() if isinstance(region, str) else None
    return code if code in phonenumbers.SUPPORTED_REGIONS else None


def classify(raw: str | None, region: str | None) -> Number:
    """Parse one raw number as somebody in `region` wrote it.

    `region` is a code that `known_region` returned. Without one, only numbers that begin with a plus are
    understood. `e164` is set if and only if `problem` is not. Raises nothing for any string.
    """
    if raw is None or not raw.strip():
        return _not_valid("empty")
    try:
        number = phonenumbers.parse(raw, region)
    except NumberParseException as error:
        return _not_valid(_parse_problem(error, region))
    country = phonenumbers.region_code_for_number(number)
    if country is None or not phonenumbers.is_valid_number_for_region(number, country):
        reason = phonenumbers.is_possible_number_with_reason(number)
        return _not_valid(_LENGTH_PROBLEMS.get(reason, "invalid"))
    return Number(
        e164=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
        # "001" is phonenumbers' name for calling codes of no country, such as +800.
        country=None if country == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY else country,
        is_mobile=phonenumbers.number_type(number) in MOBILE_TYPES,
        problem=None,
    )


def _not_valid(problem: str) -> Number:
    return Number(e164=None, country=None, is_mobile=False, problem=problem)


def _parse_problem(error: NumberParseException, region: str | None) -> str:
    problem = _PARSE_PROBLEMS[error.error_type]
    if problem == "unknown_country_code" and region is None:
        # phonenumbers raises the same error for "no such country code" and "no region to read it in".
        return "unknown_region" if "default region" in str(error) else problem
    return problem
