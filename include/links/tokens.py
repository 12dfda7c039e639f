"""The end of a tracked link's address: which button and which person, for nobody but us to read.

AES-SIV (RFC 5297) of the two ids: deterministic, so a repeated attempt carries the same link and nothing has to be
stored per message; authenticated with 128 bits, so a guessed token is refused before the database is asked; and the ids
stay hidden. 36 characters, 1 µs.
"""

from __future__ import annotations

import base64
import binascii
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

# 5 and 6 bytes: with the tag 27, which base64 writes in 36 characters without padding.
LINK_BYTES, PERSON_BYTES = 5, 6
LENGTH = 36


class LinkTokens:
    """Makes and reads tokens with a key derived from the suppression key, which every part of the system holds."""

    def __init__(self, key: bytes) -> None:
        self._box = AESSIV(hmac.digest(key, b"link tokens", "sha512"))

    def make(self, link_id: int, subscription_id: int) -> str:
        """The token of one button for one person, always the same: 36 letters, digits, `-`, `_`."""
        ids = link_id.to_bytes(LINK_BYTES, "big") + subscription_id.to_bytes(PERSON_BYTES, "big")
        return base64.urlsafe_b64encode(self._box.encrypt(ids, None)).decode()

    def read(self, token: str) -> tuple[int, int] | None:
        """`(link_id, subscription_id)`, or None for anything that `make` has not made."""
        if len(token) != LENGTH or not token.isascii():
            return None
        try:
            ids = self._box.decrypt(base64.b64decode(token, altchars=b"-_", validate=True), None)
        except (InvalidTag, binascii.Error):
            return None
        return int.from_bytes(ids[:LINK_BYTES], "big"), int.from_bytes(ids[LINK_BYTES:], "big")
