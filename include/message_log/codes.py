"""What an error code means, who acts on it and how: data for the reports, the sender and the bookkeeping of people.

CM.com numbers WhatsApp's errors 51 to 65 in its status reports (developers.cm.com, "WhatsApp standard errors"; the
visible part of the table ends there, so a code from 66 on is taken as it comes). Meta's meanings: Cloud API "Error
codes" as of 2026-09-11. The gateway's own codes: the comments of CM.com's PHP SDK 3.0.1. Cause, owner and action are
our judgement.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

ErrorSource = Literal["gateway", "status"]
Cause = Literal[
    "limited",
    "user_stopped",
    "undeliverable",
    "throughput",
    "template",
    "billing",
    "experiment",
    "account",
    "content",
    "other",
]

META_CODES: Final[dict[int, int]] = {
    51: 1,
    52: 10,
    53: 100,
    54: 130472,
    55: 131000,
    56: 131008,
    57: 131009,
    58: 131021,
    59: 131026,
    60: 131031,
    61: 131042,
    62: 131047,
    63: 131048,
    64: 131053,
    65: 131056,  # inferred from the order of the table
}
"""CM.com's `errorCode` of a status report: Meta's code for the same thing."""

UNDELIVERABLE: Final = (59, 131026)
"""Codes that say the number cannot be reached on WhatsApp now. Not proof of a block."""

STOPPED: Final = (131050,)
"""Codes that say the person switched off marketing messages in WhatsApp itself.

CM.com's own number for it is not known.
"""


class CauseClass(NamedTuple):
    """One line of the report's failures: what happened, who acts, what they do."""

    label: str
    owner: str
    action: str


CAUSES: Final[dict[Cause, CauseClass]] = {
    "limited": CauseClass(
        "Limited by Meta",
        "marketer",
        "Leave these people alone for 24 hours or more; fewer, more wanted messages raise the limit.",
    ),
    "user_stopped": CauseClass(
        "Stopped marketing in WhatsApp",
        "nobody",
        "Done already: unsubscribed here and in the sources that hold them.",
    ),
    "undeliverable": CauseClass(
        "Undeliverable",
        "marketer",
        "Not on WhatsApp, an old app, or terms not accepted; try another channel. Skipped after two in a row.",
    ),
    "throughput": CauseClass(
        "Too many messages at once",
        "engineer",
        "Lower messages per second of the connection, then send what is left.",
    ),
    "template": CauseClass(
        "Template refused",
        "marketer",
        "Look at the template's state, language and variables with CM.com; correct, then resume.",
    ),
    "billing": CauseClass(
        "Payment problem", "engineer", "Settle the account's balance or payment method, then resume."
    ),
    "experiment": CauseClass(
        "Part of a Meta experiment", "nobody", "No retry helps; they can be written to in a later campaign."
    ),
    "account": CauseClass(
        "Sender or account blocked",
        "engineer",
        "Stop sending. Look at the account with CM.com and Meta before resuming.",
    ),
    "content": CauseClass(
        "Message refused",
        "engineer",
        "A value of the message was not accepted: look at number, variables and media.",
    ),
    "other": CauseClass(
        "Other", "engineer", "Look up the code; ask CM.com with the reference if it repeats."
    ),
}


class Code(NamedTuple):
    """What one code means and its cause."""

    cause: Cause
    meaning: str


META: Final[dict[int, Code]] = {
    0: Code("account", "access refused"),
    1: Code("other", "unknown API error"),
    2: Code("throughput", "temporarily unavailable"),
    3: Code("account", "permission missing"),
    4: Code("throughput", "call limit reached"),
    10: Code("account", "permission denied"),
    33: Code("account", "sender number deleted"),
    100: Code("content", "invalid parameter"),
    190: Code("account", "access expired"),
    368: Code("account", "account restricted for a policy violation"),
    80007: Code("throughput", "call limit reached"),
    130403: Code("undeliverable", "the person is blocked by us"),
    130429: Code("throughput", "throughput reached"),
    130472: Code("experiment", "the number is part of a Meta experiment"),
    130497: Code("account", "the account may not write to this country"),
    131000: Code("other", "something went wrong"),
    131005: Code("account", "permission missing"),
    131008: Code("content", "required parameter missing"),
    131009: Code("content", "parameter value not valid"),
    131016: Code("throughput", "temporarily unavailable"),
    131021: Code("content", "sender and recipient are the same"),
    131026: Code("undeliverable", "not on WhatsApp, an old app, or terms not accepted"),
    131031: Code("account", "account locked"),
    131037: Code("account", "the sender's display name is not approved"),
    131042: Code("billing", "payment problem"),
    131045: Code("account", "sender not registered"),
    131047: Code("content", "more than 24 hours since the person's last message"),
    131048: Code("account", "sender limited for spam"),
    131049: Code("limited", "held back to keep WhatsApp healthy"),
    131050: Code("user_stopped", "the person stopped marketing messages"),
    131051: Code("content", "message type not supported"),
    131052: Code("content", "media could not be downloaded"),
    131053: Code("content", "media could not be uploaded"),
    131055: Code("template", "wrong template category for this route"),
    131056: Code("throughput", "too many messages to this person in a short time"),
    131057: Code("throughput", "account in maintenance"),
    131063: Code("account", "marketing is switched off on this route"),
    131064: Code("template", "limit for misclassified templates"),
    132000: Code("template", "wrong number of variables"),
    132001: Code("template", "template or language does not exist or is not approved"),
    132005: Code("template", "text too long"),
    132007: Code("template", "content against WhatsApp's policy"),
    132012: Code("template", "format of a variable"),
    132015: Code("template", "template paused"),
    132016: Code("template", "template disabled"),
    132018: Code("template", "template parameter"),
    132068: Code("template", "flow blocked"),
    132069: Code("template", "flow throttled"),
    133004: Code("throughput", "server temporarily unavailable"),
    133010: Code("account", "sender not registered"),
    134100: Code("template", "only marketing templates on this route"),
    134101: Code("template", "template is still being synchronised"),
    134102: Code("template", "template not eligible for this route"),
    135000: Code("template", "parameter error, or dropped while held for pacing"),
}
"""By Meta's code."""

GATEWAY: Final[dict[int, Code]] = {
    101: Code("account", "authentication failed"),
    102: Code("billing", "account balance insufficient"),
    103: Code("account", "product token incorrect"),
    201: Code("content", "one or more messages have errors"),
    202: Code("content", "malformed request"),
    203: Code("content", "message list incorrect"),
    301: Code("content", "sender invalid"),
    302: Code("content", "recipient invalid"),
    303: Code("content", "recipient is not a phone number"),
    304: Code("content", "body invalid or without content"),
    305: Code("content", "another field is invalid"),
    401: Code("limited", "stopped by the spam filter"),
    402: Code("undeliverable", "recipient is blacklisted"),
    403: Code("other", "rejected"),
    500: Code("other", "internal error of the gateway"),
    999: Code("other", "unknown error of the gateway"),
}
"""By the code of the gateway's answer."""

# Only where a message fell back to SMS: docs.cm.nl http_SR.pdf, chapter 4.
SMS: Final[dict[int, Code]] = {
    5: Code("undeliverable", "SMS not delivered"),
    7: Code("undeliverable", "subscriber without credit"),
    8: Code("undeliverable", "SMS expired"),
    20: Code("content", "SMS not deliverable in this form"),
    21: Code("undeliverable", "subscriber without credit"),
    22: Code("undeliverable", "subscriber without credit"),
    23: Code("undeliverable", "number invalid or blacklisted"),
    24: Code("undeliverable", "subscriber absent"),
    25: Code("throughput", "operator temporarily unavailable"),
    26: Code("undeliverable", "phone temporarily unavailable"),
    27: Code("undeliverable", "handset incompatible"),
    28: Code("limited", "suspected spam"),
    29: Code("content", "content not permitted"),
    30: Code("limited", "spending limit reached"),
    31: Code("undeliverable", "subscriber cannot be billed"),
    37: Code("undeliverable", "national blacklist"),
}


def meta_code(code: int | None) -> int | None:
    """Meta's code for a status report's `errorCode`; a code that CM.com's table does not have is returned as it is."""
    return META_CODES.get(code, code) if code is not None else None


def explain(code: int | None, source: ErrorSource | str | None) -> Code:
    """Cause and meaning of a ledger row's `error_code` and `error_source`.

    An unknown code is `other` and says its number.
    """
    if code is None:
        return Code("other", "no code given")
    table = GATEWAY if source == "gateway" else META
    known = table.get(code if source == "gateway" else META_CODES.get(code, code))
    # CM.com's numbers below 51 are SMS's; Meta's few small ones never come through CM.com as they are.
    if source != "gateway" and code < min(META_CODES):
        known = SMS.get(code)
    if known is None and source != "gateway" and 200 <= code <= 299:
        known = Code("account", "permission missing")
    if known is None and source != "gateway" and 133000 <= code <= 133999:
        known = Code("account", "registration of the sender")
    return known or Code("other", f"code {code}, which is not documented")
