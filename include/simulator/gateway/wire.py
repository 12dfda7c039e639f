"""The gateway's wire format: a request body into messages, and the answer back into bytes.

Source: cm_com.md 1.3, 2.2 and 3. Shipped clients disagree on the case of keys, send nulls and add keys of
their own, so keys are case-insensitive and unknown ones ignored. The exact camel-case shape is decoded
directly; any deviation takes a slower way through plain dictionaries with folded keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

OK, AUTHENTICATION, PARTIAL, MALFORMED, MSG_ARRAY, INTERNAL = 0, 101, 201, 202, 203, 500
FROM, TO, NUMBER, BODY, FIELD = 301, 302, 303, 304, 305


class WireError(ValueError):
    """The whole request is refused; `code` is the gateway's errorCode."""

    def __init__(self, code: int, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


class _Shape(msgspec.Struct, kw_only=True):
    pass


class Parameter(_Shape):
    type: str | None = None
    text: str | None = None
    payload: str | None = None
    media: Any = None
    image: Any = None
    video: Any = None
    document: Any = None
    currency: Any = None
    date_time: Any = None


class Component(_Shape):
    type: str | None = None
    sub_type: str | None = None
    index: int | str | None = None
    parameters: tuple[Parameter, ...] | None = None


class Language(_Shape):
    policy: str | None = None
    code: str | None = None


class WhatsAppTemplate(_Shape):
    namespace: str | None = None
    element_name: str | None = None
    language: Language | None = None
    components: tuple[Component, ...] | None = None
    localizable_params: Any = None


class TemplateItem(_Shape):
    whatsapp: WhatsAppTemplate | None = None


class Item(_Shape):
    template: TemplateItem | None = None
    text: Any = None
    media: Any = None
    header: Any = None
    location: Any = None
    contacts: Any = None
    interactive: Any = None
    carousel: Any = None
    suggestions: Any = None
    context: Any = None


class RichContent(_Shape):
    conversation: tuple[Item, ...] | None = None
    suggestions: Any = None


class Body(_Shape):
    type: str | None = None
    content: str | None = None


class Recipient(_Shape):
    number: str | None = None


class Message(_Shape):
    sender: str | None = msgspec.field(name="from", default=None)
    to: tuple[Recipient, ...] | None = None
    body: Body | None = None
    reference: str | None = None
    allowed_channels: tuple[str, ...] | None = msgspec.field(name="allowedChannels", default=None)
    rich: RichContent | None = msgspec.field(name="richContent", default=None)
    grouping: str | None = msgspec.field(name="customGrouping", default=None)
    grouping2: str | None = msgspec.field(name="customGrouping2", default=None)
    grouping3: str | None = msgspec.field(name="customGrouping3", default=None)
    validity: str | None = None
    app_key: str | None = msgspec.field(name="appKey", default=None)
    dcs: int | None = None
    least_parts: int | None = msgspec.field(name="minimumNumberOfMessageParts", default=None)
    most_parts: int | None = msgspec.field(name="maximumNumberOfMessageParts", default=None)

    @property
    def template(self) -> WhatsAppTemplate | None:
        """The WhatsApp template of the first conversation item, or None for a free-form message."""
        if self.rich is None or not self.rich.conversation or self.rich.conversation[0].template is None:
            return None
        return self.rich.conversation[0].template.whatsapp


class Authentication(_Shape):
    token: str | None = msgspec.field(name="productToken", default=None)


class Messages(_Shape):
    authentication: Authentication | None = None
    msg: tuple[Message, ...] | None = None


class Envelope(_Shape):
    messages: Messages | None = None


# The same shapes, refusing unknown keys: what decodes into them needs no folding.
class _XParameter(Parameter, forbid_unknown_fields=True):
    pass


class _XComponent(Component, forbid_unknown_fields=True):
    parameters: tuple[_XParameter, ...] | None = None


class _XLanguage(Language, forbid_unknown_fields=True):
    pass


class _XWhatsAppTemplate(WhatsAppTemplate, forbid_unknown_fields=True):
    language: _XLanguage | None = None
    components: tuple[_XComponent, ...] | None = None


class _XTemplateItem(TemplateItem, forbid_unknown_fields=True):
    whatsapp: _XWhatsAppTemplate | None = None


class _XItem(Item, forbid_unknown_fields=True):
    template: _XTemplateItem | None = None


class _XRichContent(RichContent, forbid_unknown_fields=True):
    conversation: tuple[_XItem, ...] | None = None


class _XBody(Body, forbid_unknown_fields=True):
    pass


class _XRecipient(Recipient, forbid_unknown_fields=True):
    pass


class _XMessage(Message, forbid_unknown_fields=True):
    to: tuple[_XRecipient, ...] | None = None
    body: _XBody | None = None
    rich: _XRichContent | None = msgspec.field(name="richContent", default=None)


class _XAuthentication(Authentication, forbid_unknown_fields=True):
    pass


class _XMessages(Messages, forbid_unknown_fields=True):
    authentication: _XAuthentication | None = None
    msg: tuple[_XMessage, ...] | None = None


class _XEnvelope(Envelope, forbid_unknown_fields=True):
    messages: _XMessages | None = None


class _RawMessages(msgspec.Struct):
    msg: list[msgspec.Raw]


class _RawEnvelope(msgspec.Struct):
    messages: _RawMessages


_exact = msgspec.json.Decoder(_XEnvelope)
_exact_message = msgspec.json.Decoder(_XMessage)
_raw = msgspec.json.Decoder(_RawEnvelope)


def decode(body: bytes) -> Messages:
    """Decode a request body. Raises WireError 202 (not JSON, or a value of a wrong type) or 203 (no msg
    array).

    `Messages.msg` of the result is a tuple, possibly empty.
    """
    try:
        envelope: Envelope = _exact.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):  # ValidationError is one too
        envelope = _decode_folded(body)
    if envelope.messages is None or envelope.messages.msg is None:
        raise WireError(MSG_ARRAY, "No messages found in the request")
    return envelope.messages


def encode_answer(details: str, code: int, messages: list[dict[str, Any]]) -> bytes:
    """The gateway's answer: exactly details, errorCode and messages, in the documented order of keys."""
    return orjson.dumps({"details": details, "errorCode": code, "messages": messages})


def raw_messages(body: bytes) -> Sequence[bytes]:
    """The JSON of each msg object of a request body that `decode` took, as it was sent, in order."""
    try:
        return _raw.decode(body).messages.msg
    except msgspec.DecodeError:
        messages = _any_case(_any_case(orjson.loads(body), "messages"), "msg")
        return [orjson.dumps(message) for message in messages]


def read_message(sent: bytes) -> Message:
    """One msg object as `raw_messages` gives it, in its typed form."""
    try:
        return _exact_message.decode(sent)
    except msgspec.DecodeError:
        return msgspec.convert(_fold(orjson.loads(sent)), Message)


def _any_case(content: dict[str, Any], name: str) -> Any:
    return next(value for key, value in content.items() if key.lower() == name)


def _decode_folded(body: bytes) -> Envelope:
    try:
        content = orjson.loads(body)
    except ValueError as error:
        raise WireError(MALFORMED, "The request is not valid JSON") from error
    content = _fold(content)
    messages = content.get("messages") if isinstance(content, dict) else None
    if not isinstance(messages, dict) or not isinstance(messages.get("msg"), list):
        raise WireError(MSG_ARRAY, "No messages found in the request")
    try:
        return msgspec.convert(content, Envelope)
    except msgspec.ValidationError as error:
        # The error names the place (`$.messages.msg[0].to`), never the value.
        raise WireError(MALFORMED, f"The request has a value of a wrong type: {error}") from error


def _fold(value: Any) -> Any:
    if isinstance(value, dict):
        return {_KEYS.get(key.lower(), key): _fold(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_fold(item) for item in value]
    return value


def _keys() -> dict[str, str]:
    shapes = _Shape.__subclasses__()
    names = (field.encode_name for shape in shapes for field in msgspec.structs.fields(shape))
    return {name.lower(): name for name in names}


_KEYS = _keys()
