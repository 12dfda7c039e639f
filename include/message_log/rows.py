"""A row of CM.com's message log as statuses. The row itself is read by whoever talks to CM.com."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, Protocol

from include.message_log.events import Status, StatusEvent

# The value of customGrouping3 in every message of ours: an unknown reference with it is ours and lost, not a stranger.
OUR_GROUPING = "airflow-whatsapp"
ACCEPTED, REJECTED, DELIVERED, FAILED, READ = range(5)
_STATUSES: dict[int, Status] = {
    ACCEPTED: "accepted",
    REJECTED: "rejected",
    DELIVERED: "delivered",
    FAILED: "failed",
}


class LogRow(Protocol):
    """One row. `status_code` as in status reports (0 accepted … 4 read), None when not known; `created` aware."""

    @property
    def reference(self) -> str | None: ...
    @property
    def sender(self) -> str | None: ...
    @property
    def recipient(self) -> str | None: ...
    @property
    def status_code(self) -> int | None: ...
    @property
    def error_code(self) -> int | None: ...
    @property
    def error_description(self) -> str: ...
    @property
    def created(self) -> datetime | None: ...
    @property
    def delivery_seconds(self) -> int | None: ...
    @property
    def country(self) -> str | None: ...
    @property
    def price(self) -> Decimal | None: ...
    @property
    def currency(self) -> str | None: ...
    @property
    def text(self) -> str | None: ...


class MessageLog(Protocol):
    """What reads CM.com's log, such as the hook of `cm_com`. Rows may repeat and come in any order."""

    def iter_transactions(
        self, start: datetime, end: datetime, direction: Literal["out", "in"], /
    ) -> Iterable[LogRow]: ...


def events_of(row: LogRow, *, now: datetime) -> list[StatusEvent]:
    """The statuses that a row tells. Empty when its status is one that nobody documents.

    The log has no time of reading: `now` is the latest it can be, and an earlier one from a webhook wins.
    """
    code = row.status_code
    if code is None:
        return []
    created = row.created or now
    settled = created + timedelta(seconds=max(0, row.delivery_seconds or 0))
    if code == READ:
        return [_event(row, "delivered", settled), _event(row, "read", now)]
    status = _STATUSES.get(code)
    if status is None:
        return []
    return [_event(row, status, settled if code in (DELIVERED, FAILED) else created)]


def _event(row: LogRow, status: Status, at: datetime) -> StatusEvent:
    failing = status in ("failed", "rejected")
    return StatusEvent(
        reference=row.reference or "",
        status=status,
        occurred_at=at,
        source="log",
        error_code=row.error_code if failing else None,
        error_text=row.error_description if failing else None,
        price=row.price,
        currency=row.currency,
        country=row.country,
    )
