"""CM.com's status reports: the JSON body, and the older form in a query string.

Source: developers.cm.com "Incoming status report" (JSON: one object under `messages.msg`, every value a string) and
docs.cm.nl http_SR.pdf (GET). Codes 0 to 4 are known from two public receivers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import msgspec

from include.message_log.events import Status, StatusEvent
from include.message_log.redact import redact

_WORDS: dict[str, Status] = {"0": "accepted", "1": "rejected", "2": "delivered", "3": "failed", "4": "read"}
_BLANK = ("", "0")
# The largest `integer` of PostgreSQL; a longer number is no error code of anybody.
_LARGEST_CODE = 2**31 - 1


class StatusUnreadable(ValueError):
    """No status report; the text says what it lacks and holds nothing of it."""


class _Status(msgspec.Struct, gc=False):
    code: str
    errorCode: str | None = None  # noqa: N815  the key on the wire
    errorDescription: str | None = None  # noqa: N815


class _Report(msgspec.Struct, gc=False):
    """What is read of a report. The recipient's number is not: the reference says who it is."""

    status: _Status
    reference: str | None = None
    received: str | None = None


class _Messages(msgspec.Struct, gc=False):
    msg: _Report | list[_Report]


class _Envelope(msgspec.Struct, gc=False):
    messages: _Messages


_exact = msgspec.json.Decoder(_Envelope)


def read_exact(body: bytes, *, zone: ZoneInfo, now: datetime) -> list[StatusEvent] | None:
    """Read a body of exactly the documented shape; None for any other."""
    try:
        reports = _exact.decode(body).messages.msg
    except msgspec.DecodeError:
        return None
    try:
        each = reports if isinstance(reports, list) else [reports]
        return [_event(report, zone=zone, now=now) for report in each]
    except StatusUnreadable:
        return None


def read_folded(document: Mapping[str, Any], *, zone: ZoneInfo, now: datetime) -> list[StatusEvent]:
    """Read a parsed body whatever the case of its keys and the types of its values. Raises StatusUnreadable."""
    messages = _lowered(document).get("messages")
    reports = _lowered(messages).get("msg") if isinstance(messages, Mapping) else None
    return [
        _folded_event(report, zone=zone, now=now)
        for report in (reports if isinstance(reports, list) else [reports])
    ]


def read_query(query: bytes, *, zone: ZoneInfo, now: datetime) -> list[StatusEvent]:
    """Read the older form:

    `reference`, `received`, `statuscode`, `errorcode`, `errordescription`. Raises StatusUnreadable.
    """
    try:
        fields = {
            key.lower(): value
            for key, value in parse_qsl(query.decode("utf-8", "replace"), max_num_fields=50)
        }
    except ValueError:
        raise StatusUnreadable("too many fields") from None
    status = _Status(fields.get("statuscode", ""), fields.get("errorcode"), fields.get("errordescription"))
    report = _Report(status, fields.get("reference"), fields.get("received"))
    return [_event(report, zone=zone, now=now)]


def _folded_event(report: object, *, zone: ZoneInfo, now: datetime) -> StatusEvent:
    if not isinstance(report, Mapping):
        raise StatusUnreadable("no report")
    fields = _lowered(report)
    told = fields.get("status")
    status = _lowered(told) if isinstance(told, Mapping) else {"code": told}
    values = [_text(status.get(name)) for name in ("code", "errorcode", "errordescription")]
    return _event(
        _Report(_Status(*values), _text(fields.get("reference")), _text(fields.get("received"))),
        zone=zone,
        now=now,
    )


def _event(report: _Report, *, zone: ZoneInfo, now: datetime) -> StatusEvent:
    told = report.status
    status = _WORDS.get(told.code)
    code = told.errorCode or ""
    if status is None:
        if told.code or code in _BLANK:
            raise StatusUnreadable("a status code that nobody documents" if told.code else "no status code")
        status = "failed"
    failing = status in ("failed", "rejected")
    occurred_at, raw = _moment(report.received, zone, now)
    return StatusEvent(
        reference=report.reference or "",
        status=status,
        occurred_at=occurred_at,
        source="webhook",
        error_code=_code(code) if failing else None,
        error_text=told.errorDescription if failing else None,
        received_raw=raw,
    )


def _code(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
    return number if 0 < number <= _LARGEST_CODE else None


def _moment(received: str | None, zone: ZoneInfo, now: datetime) -> tuple[datetime, str | None]:
    """When it happened, and the text of it as far as it may be kept.

    Never later than it was told, in case the zone of the setting is not CM.com's.
    """
    if not received:
        return now, None
    try:
        moment = datetime.fromisoformat(received)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return now, redact(received, 40)
    return min(moment, now), received


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _lowered(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key).lower(): value for key, value in mapping.items()}
