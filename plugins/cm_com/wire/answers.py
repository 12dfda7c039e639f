"""What the gateway answered to a request, judged message by message.

The rule behind every branch: *not sent* and *refused* need proof that nothing was accepted, because CM.com
has no idempotency key and a message sent again is a message received twice. Everything that proves nothing
is *unknown*. Sources: developers.cm.com "Responses and errors (JSON)"; the codes' own sources are named in
``cm_com.codes``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import msgspec

from cm_com.codes import REFUSED_CODES, UNCLEAR_CODES
from cm_com.delivery import Delivery, MessageResult
from cm_com.wire.messages import from_wire_number


class Sent(NamedTuple):
    """What identifies one message of a request: its reference, and its recipient as on the wire."""

    reference: str | None
    to: str


class _Recipient(msgspec.Struct):
    number: str


class _SentMessage(msgspec.Struct):
    to: list[_Recipient]
    reference: str | None = None


class _AnswerMessage(msgspec.Struct):
    to: str | None = None
    status: str | None = None
    reference: str | None = None
    messageErrorCode: int | None = None  # noqa: N815 - the key on the wire


class _Answer(msgspec.Struct):
    errorCode: int | None = None  # noqa: N815 - the key on the wire
    messages: list[_AnswerMessage] | None = None


_sent_decoder = msgspec.json.Decoder(_SentMessage)
_answer_decoder = msgspec.json.Decoder(_Answer, strict=False)


def identify(messages: Sequence[Mapping[str, Any] | bytes]) -> list[Sent]:
    """Reference and recipient of each ``msg`` object, in order.

    :raises ValueError: an item is no ``msg`` object, or has not exactly one recipient.
    """
    return [_identify(item) for item in messages]


def read_answer(
    *, status: int, body: bytes, retry_after: str | None, sent: Sequence[Sent], now: datetime | None = None
) -> Delivery:
    """The outcome of one request from its HTTP status, its body and its ``Retry-After`` header.

    ``now`` is needed only for a ``Retry-After`` that is a date.
    """
    if status in {429, 503} and retry_after is not None:
        wait = parse_retry_after(retry_after, now=now)
        return Delivery(outcome="not_sent", status=status, retry_after=wait, cause=f"HTTP {status}")
    if status != 200 and not 400 <= status < 500:
        return Delivery(outcome="unknown", status=status, cause=f"HTTP {status}")
    try:
        answer = _answer_decoder.decode(body)
    except msgspec.MsgspecError:
        return Delivery(
            outcome="unknown", status=status, cause=f"HTTP {status} with a body that is not CM.com's"
        )
    if answer.messages:
        return _answered(answer, status=status, sent=sent)
    return _judged_as_a_whole(answer.errorCode, status=status)


def parse_retry_after(value: str, *, now: datetime | None = None) -> float | None:
    """Seconds from a ``Retry-After`` header (RFC 9110 10.2.3: seconds or a date), None if it is neither."""
    value = value.strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _judged_as_a_whole(code: int | None, *, status: int) -> Delivery:
    """No message of the request is mentioned: either it was refused, or nothing is known."""
    refused = code in REFUSED_CODES or (
        400 <= status < 500 and status != 429 and code not in {None, 0} and code not in UNCLEAR_CODES
    )
    cause = f"HTTP {status} with code {code}" if code is not None else f"HTTP {status} without a code"
    return Delivery(outcome="refused" if refused else "unknown", code=code, status=status, cause=cause)


def _answered(answer: _Answer, *, status: int, sent: Sequence[Sent]) -> Delivery:
    rows = answer.messages or []
    if len(rows) == len(sent) and all(map(_is_about, rows, sent)):
        results = tuple(_result(one, row) for one, row in zip(sent, rows, strict=True))
    else:
        results = _matched_by_reference(rows, sent)
    if all(result.accepted is None for result in results):
        return Delivery(
            outcome="unknown", code=answer.errorCode, status=status, cause="an answer about other messages"
        )
    return Delivery(outcome="answered", results=results, code=answer.errorCode, status=status)


def _matched_by_reference(rows: Sequence[_AnswerMessage], sent: Sequence[Sent]) -> tuple[MessageResult, ...]:
    """For an answer with missing, added or moved rows: only a reference that stands once on both sides proves
    which message a row is about."""
    asked = Counter(one.reference for one in sent)
    told = Counter(row.reference for row in rows)
    by_reference = {row.reference: row for row in rows if told[row.reference] == 1}
    results = []
    for one in sent:
        row = by_reference.get(one.reference) if one.reference and asked[one.reference] == 1 else None
        if row is not None and _is_about(row, one):
            results.append(_result(one, row))
        else:
            results.append(MessageResult(one.reference, None, None))
    return tuple(results)


def _is_about(row: _AnswerMessage, one: Sent) -> bool:
    """The same recipient, and the same reference unless the answer has none (demo accounts drop it)."""
    if row.reference is not None and row.reference != one.reference:
        return False
    return row.to == one.to or (row.to is not None and from_wire_number(row.to) == from_wire_number(one.to))


def _result(one: Sent, row: _AnswerMessage) -> MessageResult:
    """Documented words are Accepted and Rejected ("usually either"); another word proves nothing."""
    word = (row.status or "").casefold()
    accepted = {"accepted": True, "rejected": False}.get(word)
    return MessageResult(one.reference, accepted, row.messageErrorCode)


def _identify(item: Mapping[str, Any] | bytes) -> Sent:
    try:
        message = (
            _sent_decoder.decode(item) if isinstance(item, bytes) else msgspec.convert(item, _SentMessage)
        )
    except msgspec.MsgspecError:
        # msgspec names the place of the mistake, never the value, but a key could be a number by accident.
        raise ValueError("A message is not an object with `to`: [{`number`: …}].") from None
    if len(message.to) != 1:
        raise ValueError("A message has to have exactly one recipient, so that its outcome can be told.")
    return Sent(message.reference, message.to[0].number)
