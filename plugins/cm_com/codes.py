"""CM.com's numbers and what they mean. What to do about a code is decided by whoever sends.

Sources: gateway codes from the comments of CM.com's PHP SDK 3.0.1 (``TextClientStatusCodes``), the same
numbers in its Python and .NET SDKs; WhatsApp errors from developers.cm.com, "WhatsApp standard errors",
whose visible part ends at 65; statuses from two public receivers of CM.com's webhooks and two callers of
its Transactions API.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


class GatewayCode(NamedTuple):
    """``errorCode`` of an answer (level *request*) or ``messageErrorCode`` of one message in it."""

    level: Literal["request", "message", "both"]
    meaning: str


class StatusError(NamedTuple):
    """``errorCode`` of a status report; ``meta`` is the WhatsApp Cloud API's code for the same thing."""

    meta: int
    meaning: str


GATEWAY_CODES: Final[dict[int, GatewayCode]] = {
    0: GatewayCode("both", "ok"),
    101: GatewayCode("request", "authentication failed"),
    102: GatewayCode("request", "account balance insufficient"),
    103: GatewayCode("request", "product token incorrect"),
    201: GatewayCode("request", "one or more messages have errors"),
    202: GatewayCode("request", "malformed JSON or wrong data types"),
    203: GatewayCode("request", "message array incorrect"),
    301: GatewayCode("message", "sender invalid"),
    302: GatewayCode("message", "recipient invalid"),
    303: GatewayCode("message", "recipient is not a phone number"),
    304: GatewayCode("message", "body invalid or without content"),
    305: GatewayCode("message", "another field is invalid"),
    401: GatewayCode("message", "stopped by the spam filter"),
    402: GatewayCode("message", "recipient is blacklisted"),
    403: GatewayCode("message", "rejected"),
    500: GatewayCode("request", "internal error"),
    999: GatewayCode("both", "unknown error"),
}

TOKEN_CODES: Final = frozenset({101, 103})
"""The token is refused: nothing sent with it can succeed."""

BALANCE_CODES: Final = frozenset({102})
"""The account cannot pay: nothing succeeds until someone tops it up."""

REFUSED_CODES: Final = TOKEN_CODES | BALANCE_CODES | {202, 203}
"""The whole request was turned down before any message of it was looked at."""

UNCLEAR_CODES: Final = frozenset({500, 999})
"""CM.com itself does not know what happened; messages of the request may be on their way."""

STATUS_ERRORS: Final[dict[int, StatusError]] = {
    51: StatusError(1, "unknown API error"),
    52: StatusError(10, "permission denied"),
    53: StatusError(100, "invalid parameter"),
    54: StatusError(130472, "the number is part of a Meta experiment"),
    55: StatusError(131000, "something went wrong"),
    56: StatusError(131008, "required parameter missing"),
    57: StatusError(131009, "parameter value not valid"),
    58: StatusError(131021, "sender and recipient are the same"),
    59: StatusError(131026, "undeliverable: not on WhatsApp, terms not accepted, or an old app"),
    60: StatusError(131031, "account locked"),
    61: StatusError(131042, "payment problem"),
    62: StatusError(131047, "more than 24 hours since the person's last reply"),
    63: StatusError(131048, "sender limited for spam"),
    64: StatusError(131053, "media upload failed"),
    65: StatusError(131056, "too many messages to this person in a short time"),  # inferred from the order
}

STATUS_WORDS: Final[dict[int, str]] = {0: "accepted", 1: "rejected", 2: "delivered", 3: "failed", 4: "read"}
"""``status.code`` of a status report."""

TRANSACTION_STATUS: Final[dict[int, int]] = {19: 0, 37: 0, 20: 2, 21: 3, 22: 1, 40: 1}
"""``status`` of a row of the message log → ``status.code`` of a status report. The log's number for *read*
is not known; see :func:`status_of_transaction`."""


def meaning_of(code: int | None) -> str:
    """A few words for a gateway code, for messages and reports; says so when CM.com does not document it."""
    if code is None:
        return "no code given"
    known = GATEWAY_CODES.get(code)
    return known.meaning if known else f"code {code}, which CM.com does not document"


def status_of_transaction(status: int | None, description: str) -> int | None:
    """A log row's status in the numbering of status reports (0 accepted … 4 read), None if not known.

    ``description`` decides for *read*, of which no public client shows the number.
    """
    if description.strip().casefold() == "read":
        return 4
    return TRANSACTION_STATUS.get(status) if status is not None else None
