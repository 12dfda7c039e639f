"""What can go wrong with CM.com, one class for each thing a caller does about it.

No message of these classes holds a phone number, a message text or a token. ``retry`` says whether the same
call may simply be made again; operators turn ``retry = False`` into Airflow's "fail without retry".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cm_com.delivery import MessageResult


class CmComError(Exception):
    """Anything CM.com-related. ``results`` holds the messages whose outcome was known before it happened."""

    retry: ClassVar[bool] = False

    def __init__(
        self, message: str, *, code: int | None = None, results: Sequence[MessageResult] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.results = tuple(results)


class CmComConfigError(CmComError):
    """The connection is incomplete or contradicts itself: correct it in Airflow. Nothing was sent."""


class CmComAuthError(CmComConfigError):
    """CM.com refuses the product token: correct it in the connection. Nothing was sent."""


class CmComBalanceError(CmComError):
    """The account's balance is used up: top it up at CM.com. Nothing was sent."""


class CmComRequestError(CmComError):
    """The request itself is wrong, here or in the eyes of CM.com: correct the caller. Nothing was sent."""


class CmComThrottled(CmComError):
    """CM.com asks to wait. Nothing was sent: make the same call again after ``retry_after`` seconds."""

    retry = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        code: int | None = None,
        results: Sequence[MessageResult] = (),
    ) -> None:
        super().__init__(message, code=code, results=results)
        self.retry_after = retry_after


class CmComUnavailable(CmComError):
    """CM.com was not reached. Nothing was sent: make the same call again later."""

    retry = True


class CmComUnreadable(CmComError):
    """An answer to a reading call is not what is known of CM.com: check URL and path in the connection."""


class CmComUncertain(CmComError):
    """The request left and no usable answer came: the messages may be on their way. Never send them again by
    yourself; CM.com knows no idempotency key. Look their references up in the message log."""
