"""The suppression list's key: people are on it by an HMAC of their match key, so it outlives their erasure (C10).

Whoever has the database but not the key cannot tell whether a number is on the list; another key would find nobody,
so its fingerprint is kept and a changed one refused.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Any

import psycopg

from include.database import named_sql

ENVIRONMENT_NAME = "WHATSAPP_SUPPRESSION_KEY"
SETTING = "suppression_key_fingerprint"
LEAST_LENGTH = 32
_BLOCK = 64  # SHA-256 works in blocks of 64 bytes (RFC 2104)

queries = named_sql(__file__, "suppression.sql")


class SuppressionKeyProblem(Exception):
    """The suppression key is missing, too short, or not the one this database was filled with."""


def suppression_key_from_environment() -> bytes:
    """The key, from WHATSAPP_SUPPRESSION_KEY. Raises SuppressionKeyProblem."""
    key = os.environ.get(ENVIRONMENT_NAME, "").strip()
    if len(key) < LEAST_LENGTH:
        raise SuppressionKeyProblem(
            f"{ENVIRONMENT_NAME} must hold a secret of at least {LEAST_LENGTH} characters (it has {len(key)}). Make "
            "one with `openssl rand -hex 32` and keep it: without it nobody is found on the suppression list."
        )
    return key.encode()


def person_hash(key: bytes, match_key: str) -> bytes:
    """HMAC-SHA256 of a match key: 32 bytes, `subscription.person_hash` and `suppression.person_hash`."""
    return hmac.new(key, match_key.encode(), hashlib.sha256).digest()


def pads(key: bytes) -> dict[str, bytes]:
    """`ipad` and `opad` of RFC 2104, for SQL: sha256(opad || sha256(ipad || text)) is the HMAC of the text."""
    key = hashlib.sha256(key).digest() if len(key) > _BLOCK else key
    key = key.ljust(_BLOCK, b"\0")
    return {"ipad": bytes(byte ^ 0x36 for byte in key), "opad": bytes(byte ^ 0x5C for byte in key)}


def check_key(conn: psycopg.Connection[Any], key: bytes) -> None:
    """Raise SuppressionKeyProblem unless `key` is the one used so far; the first key ever seen is recorded.

    In the caller's transaction.
    """
    fingerprint = hmac.new(key, b"fingerprint", hashlib.sha256).hexdigest()
    queries.record(conn, name=SETTING, value=fingerprint)
    if queries.recorded(conn, name=SETTING) != fingerprint:
        raise SuppressionKeyProblem(
            f"{ENVIRONMENT_NAME} is not the key that this database's suppression list was made with: nobody on it "
            "would be recognised, and people who said no could be messaged. "
            "Set the former key again; nothing was changed."
        )
