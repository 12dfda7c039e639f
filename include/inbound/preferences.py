"""WhatsApp's own switch as Meta's webhook tells it: `user_preferences`, with `stop` or `resume` of marketing messages.

Whether and in which envelope CM.com passes it on is not documented, so it is looked for anywhere in a document. Source:
Meta, "User preferences webhook" (whatsapp_rules.md B.7). Without it, a stop is learnt from failures with 131050.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import pandas as pd
import psycopg

from include.database import named_sql
from include.phone import match_key
from include.subscriptions.platform import platform_resume, platform_stop

SQL = named_sql(__file__)
SOURCE = "whatsapp"
MARKETING = "marketing_messages"


class Preference(msgspec.Struct, frozen=True, kw_only=True):
    """A person's switch: `number` is `+` and digits, `key` the same for the same message."""

    number: str
    wants: Literal["stop", "resume"]
    occurred_at: datetime
    key: str


def read_preferences(document: object, *, now: datetime) -> list[Preference]:
    """The switches in a parsed document; none in most. Other categories than marketing are left out."""
    return [
        found
        for item in _items(document)
        if isinstance(item, Mapping) and (found := _preference(item, now)) is not None
    ]


def record_preferences(
    conn: psycopg.Connection[Any], preferences: Sequence[Preference], *, entities: Sequence[str]
) -> Counter[str]:
    """Obey switches in the caller's transaction; safe to repeat. Counts `stopped`, `subscribed`, `flag`, `nothing`."""
    counts: Counter[str] = Counter()
    keys = match_key(pd.Series([each.number for each in preferences], dtype="string")).tolist()
    for preference, key in zip(preferences, keys, strict=True):
        people = list(SQL.people_of_number(conn, entities=list(entities), match_key=key))
        counts["nothing"] += not people
        for person in people:
            where = {
                "entity": person["entity"],
                "subscription_id": person["id"],
                "occurred_at": preference.occurred_at,
                "source": SOURCE,
                "source_record_id": preference.key,
            }
            if preference.wants == "resume":
                counts[platform_resume(conn, **where)] += 1
            else:
                counts["stopped"] += platform_stop(conn, **where) is not None
    return +counts


def _items(value: object, depth: int = 0) -> Iterator[object]:
    if depth > 8:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if str(key).lower() == "user_preferences" and isinstance(inner, list):
                yield from inner
            else:
                yield from _items(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _items(inner, depth + 1)


def _preference(item: Mapping[Any, Any], now: datetime) -> Preference | None:
    fields = {str(key).lower(): value for key, value in item.items()}
    digits = "".join(each for each in str(fields.get("wa_id", "")) if each.isascii() and each.isdigit())
    wants = fields.get("value")
    category = fields.get("category", MARKETING)
    if not 5 <= len(digits) <= 20 or wants not in ("stop", "resume") or category != MARKETING:
        return None
    told = fields.get("timestamp")
    key = hashlib.blake2b(f"{digits}\0{wants}\0{told}".encode("utf-8", "replace"), digest_size=16).hexdigest()
    return Preference(number=f"+{digits}", wants=wants, occurred_at=min(_moment(told) or now, now), key=key)


def _moment(value: object) -> datetime | None:
    """Unix seconds as text or number."""
    try:
        return datetime.fromtimestamp(int(str(value)), UTC)
    except (ValueError, OverflowError, OSError):
        return None
