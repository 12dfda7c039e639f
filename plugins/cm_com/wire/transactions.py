"""Rows of CM.com's message log (``GET /v1.2/transactions/``), read tolerantly.

Documented are the envelope and half of a row (developers.cm.com "Transactions API"); the other keys, their
case and their nulls are known from callers only, so keys are matched whatever their case and everything may
be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from cm_com.codes import status_of_transaction
from cm_com.exceptions import CmComUnreadable
from cm_com.wire.messages import from_wire_number

TRANSACTIONS_PATH: Final = "/v1.2/transactions/"
Direction = Literal["out", "in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One message as CM.com's log has it.

    ``recipient`` and ``sender`` in E.164, or as they came if they are no phone numbers. ``status``:
    CM.com's log number; ``status_code``: the same in the numbering of status reports (0 accepted, 1
    rejected, 2 delivered, 3 failed, 4 read), None if not known. ``error_code``: CM.com's standard error (51
    … for WhatsApp). ``created``: aware, in UTC, None if missing or without a zone. ``country``: ISO 3166.
    ``text``: personal data.
    """

    reference: str | None
    recipient: str | None = field(repr=False)
    sender: str | None = field(repr=False)
    direction: Direction
    status: int | None
    status_code: int | None
    status_description: str
    error_code: int | None
    error_description: str = field(repr=False)
    created: datetime | None
    country: str | None
    price: Decimal | None
    currency: str | None
    local_price: Decimal | None
    local_currency: str | None
    delivery_seconds: int | None
    parts: int | None
    channel: str | None
    groupings: tuple[str, str, str]
    text: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionPage:
    """One page of the log. ``page`` and ``pages`` are None where CM.com did not say."""

    rows: tuple[Transaction, ...]
    page: int | None
    pages: int | None


def query(
    *,
    start: datetime,
    end: datetime,
    direction: Direction,
    reference: str | None,
    channel: str | None,
    page: int,
    page_size: int,
) -> dict[str, str]:
    """The query parameters. All names are from client code; ``page`` is inferred. Times go out in UTC with
    ``Z``, the one form of those in use that cannot be taken for Dutch local time."""
    parameters = {
        "startdate": _utc(start),
        # Whole seconds are all that is known to be taken; rounded up, so that no row between is lost.
        "enddate": _utc(end + timedelta(microseconds=999_999)),
        "direction": direction,
        "page": str(page),
        "pagesize": str(page_size),
    }
    if reference is not None:
        parameters["reference"] = reference
    if channel is not None:
        parameters["channel"] = channel
    return parameters


def read_page(document: object, *, direction: Direction) -> TransactionPage:
    """A page from its parsed JSON.

    :raises CmComUnreadable: it is not the log's envelope.
    """
    if not isinstance(document, Mapping):
        raise CmComUnreadable("The message log's answer is not an object.")
    envelope = _lowered(document)
    rows = envelope.get("result")
    if rows is None and "status" not in envelope and "message" not in envelope:
        raise CmComUnreadable("The message log's answer has neither rows nor a status.")
    if not isinstance(rows or [], list):
        raise CmComUnreadable("The message log's rows are not a list.")
    pagination = envelope.get("pagination")
    paging = _lowered(pagination) if isinstance(pagination, Mapping) else {}
    return TransactionPage(
        rows=tuple(_row(_lowered(row), direction) for row in rows or [] if isinstance(row, Mapping)),
        page=_integer(paging.get("currentpage")),
        pages=_integer(paging.get("totalpages")),
    )


def _row(row: dict[str, Any], direction: Direction) -> Transaction:
    status = _integer(row.get("status"))
    description = _string(row.get("statusdescription")) or ""
    multipart = row.get("multipart")
    told = (_string(row.get("direction")) or direction).casefold()
    return Transaction(
        reference=_string(row.get("reference")),
        recipient=_number(row.get("recipient")),
        sender=_number(row.get("sender")),
        direction="in" if told == "in" else "out",
        status=status,
        status_code=status_of_transaction(status, description),
        status_description=description,
        error_code=_integer(row.get("standarderror")),
        error_description=_string(row.get("errordescription")) or "",
        created=_moment(row.get("created")),
        country=_string(row.get("countryiso")),
        price=_decimal(row.get("price")),
        currency=_string(row.get("currency")),
        local_price=_decimal(row.get("localprice")),
        # `localCurreny` stands in one of CM.com's tables, `localCurrency` in the others.
        local_currency=_string(row.get("localcurrency")) or _string(row.get("localcurreny")),
        delivery_seconds=_integer(row.get("deliverytime")),
        parts=_integer(_lowered(multipart).get("parts")) if isinstance(multipart, Mapping) else None,
        channel=_string(row.get("channel")),
        groupings=(
            _string(row.get("customgrouping")) or "",
            _string(row.get("customgrouping2")) or "",
            _string(row.get("customgrouping3")) or "",
        ),
        text=_string(row.get("message")),
    )


def _lowered(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key).lower(): value for key, value in mapping.items()}


def _utc(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("The message log is asked for times with a zone only.")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None


def _string(value: object) -> str | None:
    return str(value) or None if isinstance(value, str | int) else None


def _number(value: object) -> str | None:
    text = _string(value)
    return from_wire_number(text) or text


def _integer(value: object) -> int | None:
    try:
        return int(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return None


def _decimal(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value)) if isinstance(value, str | int | float) else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None
