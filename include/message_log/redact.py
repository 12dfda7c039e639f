"""Text that may be kept or logged: without anything that could be a phone number."""

from __future__ import annotations

import re

# Seven digits and more, however they are grouped: the shortest E.164 number in use has seven.
_DIGITS = re.compile(r"\+?\d(?:[\s().\-/]?\d){6,}")


def redact(text: str, limit: int = 500) -> str:
    """The text without runs of seven or more digits, without control characters, at most `limit` characters long."""
    plain = "".join(character if character.isprintable() else " " for character in text[: 4 * limit])
    return _DIGITS.sub("#", plain)[:limit]
