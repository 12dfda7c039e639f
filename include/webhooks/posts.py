"""What one request to the webhook holds, whichever of its two paths it came to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from include.inbound import Inbound, Unreadable, from_webhook
from include.inbound.messages import storable
from include.inbound.preferences import Preference, read_preferences
from include.links import Click
from include.message_log.events import StatusEvent
from include.message_log.redact import redact
from include.webhooks.statuses import StatusUnreadable, read_exact, read_folded, read_query

_KEPT = 2_000  # characters of what cannot be read, redacted


class Aside(msgspec.Struct, frozen=True):
    """Something that can never be taken: why, and what may be kept of it."""

    reason: str
    body: str = ""


class Pushed(msgspec.Struct, frozen=True):
    """An opt-in or withdrawal that a source sends, as JSON text; `digest` is the same for the same record."""

    source: str
    record: str
    digest: str


class Post(msgspec.Struct, frozen=True):
    """What a request holds. Everything of it is committed, or nothing is acknowledged."""

    entities: tuple[str, ...]
    statuses: list[StatusEvent] = []
    messages: list[Inbound] = []
    asides: list[Aside] = []
    records: list[Pushed] = []
    clicks: list[Click] = []
    preferences: list[Preference] = []

    @property
    def size(self) -> int:
        """How many rows it may write."""
        rows = len(self.statuses) + len(self.messages) + len(self.asides) + len(self.records)
        return rows + len(self.clicks) + len(self.preferences)


def read_body(body: bytes, *, entities: tuple[str, ...], zone: ZoneInfo, now: datetime) -> Post:
    """Statuses, a person's message, or something to set aside."""
    statuses = read_exact(body, zone=zone, now=now)
    if statuses is not None:
        return Post(entities, statuses)
    try:
        document = msgspec.json.decode(body)
        if isinstance(document, Mapping) and any(str(key).lower() == "messages" for key in document):
            return Post(entities, read_folded(document, zone=zone, now=now))
        if preferences := read_preferences(document, now=now):
            return Post(entities, preferences=preferences)
        return Post(entities, messages=[from_webhook(document, now=now)])
    except msgspec.DecodeError:
        problem = "not_json"
    except RecursionError:
        problem = "nested_too_deep"
    except (StatusUnreadable, Unreadable) as error:
        problem = str(error).replace(" ", "_")
    return unreadable(entities, problem, body)


def read_records(body: bytes, *, entity: str, source: str) -> Post:
    """Opt-ins of a source: one JSON object, a list of them, or a list under the one key of an object."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return unreadable((entity,), "records_not_json")
    if (
        isinstance(document, Mapping)
        and len(document) == 1
        and isinstance(only := next(iter(document.values())), list)
    ):
        document = only
    records = document if isinstance(document, list) else [document]
    if not records or not all(isinstance(record, Mapping) and record for record in records):
        return unreadable((entity,), "records_not_objects")
    return Post((entity,), records=[_pushed(source, record) for record in records])


def read_get(query: bytes, *, entities: tuple[str, ...], zone: ZoneInfo, now: datetime) -> Post:
    """A status in the older form, or something to set aside."""
    try:
        return Post(entities, read_query(query, zone=zone, now=now))
    except StatusUnreadable as error:
        return unreadable(entities, str(error).replace(" ", "_"), query)


def unreadable(entities: tuple[str, ...], reason: str, body: bytes = b"") -> Post:
    """Something to set aside, with as much of it as may be kept."""
    return Post(entities, asides=[Aside(reason, redact(body[: 4 * _KEPT].decode("utf-8", "replace"), _KEPT))])


def _pushed(source: str, record: Mapping[str, object]) -> Pushed:
    text = msgspec.json.encode(storable(record), order="deterministic").decode()
    return Pushed(source, text, hashlib.blake2b(text.encode(), digest_size=16).hexdigest())
