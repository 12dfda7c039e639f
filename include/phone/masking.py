"""Numbers that may be shown: enough to recognise one's own, too little to call it."""

import phonenumbers

_HIDDEN = "*****"
_SHOWN_DIGITS = 3


def mask(e164: str | None) -> str:
    """`"+32470123456"` → `"+32*****456"`: the calling code and the last three digits.

    The number of stars says nothing. What is not a number with a known calling code is all stars.
    """
    if e164 is None or not e164.startswith("+") or not e164[1:].isdecimal():
        return _HIDDEN
    digits = e164[1:]
    for length in range(1, 4):
        if digits[:length].isascii() and int(digits[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            rest = digits[length:]
            # Of a very short number three digits would be most of it.
            return (
                f"+{digits[:length]}{_HIDDEN}{rest[-_SHOWN_DIGITS:] if len(rest) > 2 * _SHOWN_DIGITS else ''}"
            )
    return _HIDDEN
