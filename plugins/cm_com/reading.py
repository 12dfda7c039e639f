"""Calls that only read, and so may be repeated: what an HTTP status means for them, and how to turn pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from cm_com.codes import BALANCE_CODES, TOKEN_CODES
from cm_com.exceptions import (
    CmComAuthError,
    CmComBalanceError,
    CmComConfigError,
    CmComError,
    CmComRequestError,
    CmComThrottled,
    CmComUnavailable,
    CmComUnreadable,
)
from cm_com.wire.answers import parse_retry_after
from cm_com.wire.transactions import Transaction, TransactionPage

WINDOW: Final = timedelta(hours=24)
"""The longest span of the message log asked for at once: every known client stays within it."""


class ReadPage(Protocol):
    """One page of the message log."""

    def __call__(self, start: datetime, end: datetime, /, *, page: int) -> TransactionPage: ...


class _Refusal(msgspec.Struct):
    errorCode: int | None = None  # noqa: N815 - the key on the wire


_refusal_decoder = msgspec.json.Decoder(_Refusal, strict=False)


def iter_rows(
    read: ReadPage,
    start: datetime,
    end: datetime,
    *,
    page_size: int,
    patience: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Transaction]:
    """Every row between two moments, over as many windows and pages as it takes.

    ``patience``: seconds to wait in all when CM.com asks to.

    :raises CmComUnreadable: CM.com does not turn pages (the parameter's name is inferred), so rows are
    missing.
    :raises CmComThrottled: it asks for more than is left of ``patience``, or does not say for how long.
    """
    while start < end:
        window_end = min(start + WINDOW, end)
        page, pages = 1, 1
        while page <= pages:
            try:
                answer = read(start, window_end, page=page)
            except CmComThrottled as error:
                if error.retry_after is None or error.retry_after > patience:
                    raise
                # At least a second, so that "Retry-After: 0" cannot become a tight loop.
                patience -= max(1.0, error.retry_after)
                sleep(max(1.0, error.retry_after))
                continue
            if answer.page not in {None, page}:
                raise CmComUnreadable(
                    f"CM.com's message log answered page {answer.page} to a request for page {page}. "
                    "Read shorter spans, or ask for larger pages."
                )
            yield from answer.rows
            pages = answer.pages if answer.pages is not None else page + (len(answer.rows) >= page_size)
            page += 1
        start = window_end


def error_of_status(*, status: int, retry_after: str | None, body: bytes, place: str) -> CmComError | None:
    """What an HTTP status means for a reading call, None for 200. The body's code counts, its words do
    not."""
    if status == 200:
        return None
    where = f"HTTP {status}, {place}"
    code = _code_of(body)
    if status == 429 or (status == 503 and retry_after is not None):
        seconds = parse_retry_after(retry_after or "")
        wait = f"{seconds:g} s" if seconds is not None else "a while"
        return CmComThrottled(f"CM.com asks to wait {wait} ({where}).", retry_after=seconds)
    if status >= 500:
        return CmComUnavailable(f"CM.com has an error of its own ({where}). Try again later.")
    return _refusal(status, code, where)


def _refusal(status: int, code: int | None, where: str) -> CmComError:
    if status in {401, 403} or code in TOKEN_CODES:
        return CmComAuthError(
            f"CM.com refuses the product token ({where}). Correct it in the connection.", code=code
        )
    if code in BALANCE_CODES:
        return CmComBalanceError(f"The account's balance is used up ({where}). Top it up.", code=code)
    if status < 400 or status in {404, 405}:
        return CmComConfigError(
            f"CM.com's interface is not at this URL ({where}). Correct it in the connection."
        )
    return CmComRequestError(f"CM.com does not take the request ({where}).", code=code)


def _code_of(body: bytes) -> int | None:
    try:
        return _refusal_decoder.decode(body).errorCode
    except msgspec.MsgspecError:
        return None
