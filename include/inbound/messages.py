"""A message from a person, out of CM.com's two shapes: the webhook's JSON and a row of the message log.

Source: developers.cm.com "Incoming messages". Keys come in any case; where a button's payload stands is not documented,
so it is searched for under `message.custom`; whatever else there is stays in `raw`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

# WhatsApp takes 4,096 characters; one more tells that something was cut.
LONGEST_TEXT = 4097


class Unreadable(ValueError):
    """The document is no message of a person; the text says what it lacks and holds nothing of it."""


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a person. `number` is `+` and digits; `reference` that of the message it answers, if CM.com says
    so.

    `key` is the same for the same message shown again through the same door.
    """

    number: str
    occurred_at: datetime
    source: Literal["webhook", "log"]
    key: str
    text: str = ""
    payload: str | None = None
    media_uri: str | None = None
    reference: str | None = None
    raw: Any = None


def from_webhook(document: object, *, now: datetime) -> Inbound:
    """Read an MO webhook's parsed JSON. Raises Unreadable."""
    if not isinstance(document, Mapping):
        raise Unreadable("not an object")
    fields = _lowered(document)
    number = _number(_inside(fields.get("from"), "number"))
    message = _lowered(fields["message"]) if isinstance(fields.get("message"), Mapping) else None
    if number is None or message is None:
        raise Unreadable("no sender's number" if number is None else "no message")
    text = _text(message.get("text"))[:LONGEST_TEXT]
    media = _text(_inside(message.get("media"), "mediauri"))
    told = _text(fields.get("timeutc")) or _text(fields.get("time"))
    return Inbound(
        number=number,
        occurred_at=_moment(told) or now,
        source="webhook",
        key=_key(number, told, text, media, _text(fields.get("reference"))),
        text=text,
        payload=next(_payloads(message.get("custom")), None),
        media_uri=media if media.startswith(("https://", "http://")) else None,
        reference=_text(fields.get("reference")) or None,
        raw=storable(document),
    )


def from_log_row(
    *, sender: str | None, occurred_at: datetime, text: str | None, reference: str | None
) -> Inbound | None:
    """A message as CM.com's log shows it; None when it has no sender's number."""
    number = _number(sender)
    if number is None:
        return None
    said = _text(text)[:LONGEST_TEXT]
    return Inbound(
        number=number,
        occurred_at=occurred_at,
        source="log",
        key=_key(number, occurred_at.isoformat(), said, "", reference or ""),
        text=said,
        reference=reference,
        # The webhook's shape, as far as the log knows it: who reads `raw` need not ask which door it came through.
        raw={"from": {"number": number}, "message": {"text": said}},
    )


def _key(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _lowered(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key).lower(): value for key, value in mapping.items()}


def _inside(value: object, name: str) -> object:
    return _lowered(value).get(name) if isinstance(value, Mapping) else value


def _text(value: object) -> str:
    """A value as text that PostgreSQL takes: no NUL, no half of a surrogate pair."""
    if not isinstance(value, str | int):
        return ""
    return str(value).replace("\0", "").encode("utf-8", "replace").decode()


def _number(value: object) -> str | None:
    digits = "".join(each for each in _text(value) if each.isascii() and each.isdigit())
    digits = digits.removeprefix("00")
    return f"+{digits}" if 5 <= len(digits) <= 20 else None


def _moment(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
        # `timeUtc` says by its name what it lacks in its value.
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _payloads(value: object, depth: int = 0) -> Iterator[str]:
    if depth > 5:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if "payload" in str(key).lower() and isinstance(inner, str) and inner:
                yield _text(inner)[:1000]
            else:
                yield from _payloads(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _payloads(inner, depth + 1)


def storable(value: object, depth: int = 0) -> Any:
    """The JSON as it came, without what jsonb refuses (NUL, half surrogates) and not deeper than anybody nests."""
    if isinstance(value, str):
        return _text(value)
    if depth > 20:
        return None
    if isinstance(value, Mapping):
        return {_text(str(key)): storable(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner, depth + 1) for inner in value]
    return value
