"""From a typed template message to the gateway's JSON (``POST /v1.0/message``).

Sources: developers.cm.com "WhatsApp templates" and "Integration", CM.com's Postman collection, and the
bodies its SDKs send (php 3.0.1, net 2.12.0, js 2.1.0). Every violation is a ValueError that names the field
and the remedy and quotes neither numbers nor texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

MESSAGE_PATH: Final = "/v1.0/message"
TOKEN_HEADER: Final = "X-CM-PRODUCTTOKEN"  # noqa: S105 - the header's name
MAX_BATCH: Final = 1000
"""Messages in one request (CM.com's API description: "up to 1000 msg objects")."""

MAX_TEXT: Final = 4096
"""Characters of a free text."""

_REFERENCE = re.compile(r"[A-Za-z0-9]{1,32}")
_NUMBER = re.compile(r"(?:\+|00)([1-9]\d{6,14})")


@dataclass(frozen=True, slots=True)
class Text:
    """A text variable."""

    text: str = field(repr=False)

    def to_wire(self) -> dict[str, Any]:
        return {"type": "text", "text": _filled(self.text, "a text variable")}


@dataclass(frozen=True, slots=True)
class Currency:
    """An amount of money; ``fallback`` is shown where WhatsApp cannot localise it."""

    amount: Decimal
    code: str
    fallback: str = field(repr=False)

    def to_wire(self) -> dict[str, Any]:
        amount = {"fallback_value": self.fallback, "code": self.code, "amount_1000": int(self.amount * 1000)}
        return {"type": "currency", "currency": amount}


@dataclass(frozen=True, slots=True)
class DateTime:
    """A moment, shown in the zone it is given in. The shape is the .NET SDK's; days count from Monday = 1."""

    value: datetime
    fallback: str = field(repr=False)

    def to_wire(self) -> dict[str, Any]:
        moment = {
            "fallback_value": self.fallback,
            "day_of_week": self.value.isoweekday(),
            "day_of_month": self.value.day,
            "year": self.value.year,
            "month": self.value.month,
            "hour": self.value.hour,
            "minute": self.value.minute,
        }
        return {"type": "date_time", "date_time": moment}


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A header's picture, document or video: a public URL, as CM.com has no upload. ``name`` ends in the
    suffix."""

    kind: Literal["image", "document", "video"]
    url: str
    mime_type: str
    name: str

    def to_wire(self) -> dict[str, Any]:
        media = {"mediaName": self.name, "mediaUri": self.url, "mimeType": self.mime_type}
        return {"type": self.kind, "media": media}


Parameter = Text | Currency | DateTime | Media


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button's variable: the rest of its URL, or the payload that a quick reply sends back."""

    index: int
    kind: Literal["url", "quick_reply"]
    value: str = field(repr=False)

    def to_wire(self) -> dict[str, Any]:
        value = _filled(self.value, f"button {self.index}")
        parameter = (
            {"type": "text", "text": value} if self.kind == "url" else {"type": "payload", "payload": value}
        )
        return {"type": "button", "sub_type": self.kind, "index": self.index, "parameters": [parameter]}


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateMessage:
    """One template message to one person.

    ``to`` and ``sender`` in E.164. ``reference``: 1–32 letters and digits, the only thing CM.com gives back
    with statuses and replies. ``content``: what an SMS fallback would say; CM.com wants it even when
    WhatsApp is the only channel. ``groupings``: up to three tags of at most 100 characters, for CM.com's
    log. ``validity``: how long CM.com may try (whole minutes, at most 48 h), or until when.
    """

    to: str = field(repr=False)
    sender: str = field(repr=False)
    reference: str
    namespace: str
    template: str
    language: str
    content: str = field(repr=False)
    body: Sequence[Parameter] = ()
    header: Parameter | None = None
    buttons: Sequence[Button] = ()
    groupings: Sequence[str] = ()
    validity: timedelta | datetime | None = None


def message_dict(message: TemplateMessage) -> dict[str, Any]:
    """One ``msg`` object with one recipient.

    :raises ValueError: a field that the gateway would refuse, or that would send something else than meant.
    """
    wire = _envelope(message.to, message.sender, message.reference, message.content, message.groupings)
    wire["richContent"] = {"conversation": [{"template": {"whatsapp": _template(message)}}]}
    if message.validity is not None:
        wire["validity"] = _validity(message.validity)
    return wire


def text_dict(
    *, to: str, sender: str, reference: str, text: str, groupings: Sequence[str] = ()
) -> dict[str, Any]:
    """One ``msg`` object of a free text, which WhatsApp delivers within 24 hours of the person's last message only.

    Numbers in E.164; at most 4,096 characters (developers.cm.com "WhatsApp text message").

    :raises ValueError: a field that the gateway would refuse, or a text that WhatsApp would.
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"text: WhatsApp takes at most {MAX_TEXT} characters.")
    return _envelope(to, sender, reference, text, groupings) | {
        "richContent": {"conversation": [{"text": _filled(text, "text")}]}
    }


def request_body(messages: Sequence[Mapping[str, Any] | bytes]) -> bytes:
    """The request for some ``msg`` objects, each a mapping or its JSON; the token travels in the header."""
    encoded = (item if isinstance(item, bytes) else msgspec.json.encode(item) for item in messages)
    return b'{"messages":{"msg":[' + b",".join(encoded) + b"]}}"


def to_wire_number(number: str) -> str:
    """``+31612345678`` → ``0031612345678``, as CM.com wants numbers; ``00…`` stays.

    :raises ValueError: neither form. The number is not quoted.
    """
    match = _NUMBER.fullmatch(number)
    if match is None:
        raise ValueError("A phone number has to be in E.164, such as +31600000000.")
    return "00" + match[1]


def from_wire_number(number: str | None) -> str | None:
    """``0031612345678`` or ``+31612345678`` → ``+31612345678``; None if it is no international number.

    CM.com sends both forms: ``00`` in statuses and the log, ``+`` in replies.
    """
    match = _NUMBER.fullmatch((number or "").strip())
    return "+" + match[1] if match else None


def check_reference(reference: str) -> str:
    """The reference itself if CM.com's rule allows it ("1 – 32 alphanumeric characters").

    :raises ValueError: it does not.
    """
    if not _REFERENCE.fullmatch(reference):
        raise ValueError("A reference has to be 1 to 32 letters and digits.")
    return reference


def _envelope(to: str, sender: str, reference: str, content: str, groupings: Sequence[str]) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "allowedChannels": ["WhatsApp"],
        "from": to_wire_number(sender),
        "to": [{"number": to_wire_number(to)}],
        "body": {"type": "auto", "content": _filled(content, "content")},
        "reference": check_reference(reference),
    }
    names = ("customGrouping", "customGrouping2", "customGrouping3")
    if len(groupings) > len(names) or any(len(tag) > 100 for tag in groupings):
        raise ValueError("groupings: at most three tags of at most 100 characters each.")
    wire.update({name: tag for name, tag in zip(names, groupings, strict=False) if tag})
    return wire


def _template(message: TemplateMessage) -> dict[str, Any]:
    components: list[dict[str, Any]] = []
    if message.header is not None:
        components.append({"type": "header", "parameters": [message.header.to_wire()]})
    if message.body:
        components.append({"type": "body", "parameters": [item.to_wire() for item in message.body]})
    components.extend(button.to_wire() for button in message.buttons)
    return {
        "namespace": _filled(message.namespace, "namespace"),
        "element_name": _filled(message.template, "template"),
        "language": {"policy": "deterministic", "code": _filled(message.language, "language")},
        "components": components,
    }


def _filled(value: str, name: str) -> str:
    if not value.strip():
        raise ValueError(f"{name} of a template message is empty; WhatsApp takes no empty value.")
    return value


def _validity(validity: timedelta | datetime) -> str:
    """``2h``, ``30m`` or a moment in GMT; hours and minutes cannot be combined (doc comment in the .NET
    SDK)."""
    if isinstance(validity, datetime):
        if validity.tzinfo is None:
            raise ValueError("validity without a time zone: CM.com would read it as Dutch local time.")
        return validity.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S GMT")
    minutes, rest = divmod(validity.total_seconds(), 60)
    if rest or not 1 <= minutes <= 48 * 60:
        raise ValueError("validity has to be whole minutes, at least one and at most 48 hours.")
    return f"{minutes // 60:.0f}h" if minutes % 60 == 0 else f"{minutes:.0f}m"
