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

from include.simulator.gateway.shapes import Envelope, ExactEnvelope, ExactMessage, Message, Messages, Shape

OK, AUTHENTICATION, PARTIAL, MALFORMED, MSG_ARRAY, INTERNAL = 0, 101, 201, 202, 203, 500
FROM, TO, NUMBER, BODY, FIELD = 301, 302, 303, 304, 305


class WireError(ValueError):
    """The whole request is refused; `code` is the gateway's errorCode."""

    def __init__(self, code: int, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


class _RawMessages(msgspec.Struct):
    msg: list[msgspec.Raw]


class _RawEnvelope(msgspec.Struct):
    messages: _RawMessages


_exact = msgspec.json.Decoder(ExactEnvelope)
_exact_message = msgspec.json.Decoder(ExactMessage)
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
    shapes = Shape.__subclasses__()
    names = (field.encode_name for shape in shapes for field in msgspec.structs.fields(shape))
    return {name.lower(): name for name in names}


_KEYS = _keys()
