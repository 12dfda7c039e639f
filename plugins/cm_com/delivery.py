"""What is known after a request to the gateway, and the exception that says the same to a synchronous
caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from cm_com.codes import BALANCE_CODES, TOKEN_CODES, meaning_of
from cm_com.exceptions import (
    CmComAuthError,
    CmComBalanceError,
    CmComError,
    CmComRequestError,
    CmComThrottled,
    CmComUnavailable,
    CmComUncertain,
)

Outcome = Literal["answered", "not_sent", "refused", "unknown"]


class MessageResult(NamedTuple):
    """One message's fate at the gateway. ``accepted``: True, False (rejected with ``code``), None (not
    known)."""

    reference: str | None
    accepted: bool | None
    code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One request's fate.

    ``outcome``:

    - ``answered``: CM.com judged each message; ``results`` has one entry per message, in the order of the
      request. An entry whose ``accepted`` is None could not be matched to the answer and is to be treated
      as *unknown*.
    - ``not_sent``: nothing can have been accepted: no connection was made, or CM.com asked to wait (429 or
      503 with Retry-After; ``retry_after`` in seconds). The messages may be sent again.
    - ``refused``: the whole request was turned down with ``code``; ``fatal`` if the token or the balance is
      the cause, so that every further request will be turned down too.
    - ``unknown``: the request left, or may have left, and no usable answer came. The messages may have been
      accepted and must not be sent again.

    ``left_at``: ``time.monotonic()`` when the body was handed to the socket, None if it never was.
    ``status``: the HTTP status, if there was one. ``cause``: a few words without personal data.
    """

    outcome: Outcome
    results: tuple[MessageResult, ...] = ()
    code: int | None = None
    retry_after: float | None = None
    status: int | None = None
    cause: str = ""
    left_at: float | None = None

    @property
    def fatal(self) -> bool:
        """No further request with this connection can succeed until a person acts."""
        return self.outcome == "refused" and (self.code in TOKEN_CODES or self.code in BALANCE_CODES)


def error_of(delivery: Delivery, *, place: str) -> CmComError | None:
    """The exception for an outcome, None if the request was answered. ``place`` names the connection."""
    if delivery.outcome == "answered":
        return None
    if delivery.outcome == "not_sent":
        if delivery.status is not None:
            wait = f"{delivery.retry_after:g} s" if delivery.retry_after is not None else "a while"
            return CmComThrottled(
                f"CM.com asks to wait {wait} (HTTP {delivery.status}, {place}). Nothing was sent.",
                retry_after=delivery.retry_after,
            )
        return CmComUnavailable(
            f"CM.com was not reached: {delivery.cause} ({place}). Nothing was sent. Check the gateway URL, "
            "the network and CM.com's status page."
        )
    if delivery.outcome == "refused":
        return _refusal(delivery.code, place)
    return CmComUncertain(
        f"The request left and no usable answer came: {delivery.cause} ({place}). The messages may have been "
        "sent. Look their references up in CM.com's message log before anything is sent again."
    )


def _refusal(code: int | None, place: str) -> CmComError:
    said = f"CM.com refused the request with code {code}, {meaning_of(code)} ({place})."
    if code in TOKEN_CODES:
        return CmComAuthError(f"{said} Correct the product token in the connection.", code=code)
    if code in BALANCE_CODES:
        return CmComBalanceError(f"{said} Top up the account's balance at CM.com.", code=code)
    return CmComRequestError(f"{said} The request is wrong and would be refused again.", code=code)
