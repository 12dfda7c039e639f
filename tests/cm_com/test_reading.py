from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cm_com.exceptions import (
    CmComAuthError,
    CmComBalanceError,
    CmComConfigError,
    CmComRequestError,
    CmComThrottled,
    CmComUnavailable,
    CmComUnreadable,
)
from cm_com.reading import error_of_status, iter_rows
from cm_com.wire.transactions import Transaction, TransactionPage, read_page

START = datetime(2026, 11, 20, tzinfo=UTC)


def rows(*references: str) -> tuple[Transaction, ...]:
    document = {"status": 1, "result": [{"reference": reference} for reference in references]}
    return read_page(document, direction="out").rows


class Log:
    """Pages by (hours from START, page); an exception in their place is raised once."""

    def __init__(self, pages: dict[tuple[int, int], Any]) -> None:
        self.pages = pages
        self.asked: list[tuple[datetime, datetime, int]] = []

    def __call__(self, start: datetime, end: datetime, /, *, page: int) -> TransactionPage:
        self.asked.append((start, end, page))
        key = (int((start - START).total_seconds() // 3600), page)
        told = self.pages[key]
        if isinstance(told, list) and isinstance(told[0], Exception):
            error = told.pop(0)
            if not told:
                del self.pages[key]
            raise error
        return told[0] if isinstance(told, list) else told


def read(log: Log, hours: float, **options: Any) -> list[str | None]:
    slept: list[float] = options.setdefault("slept", [])
    options.pop("slept")
    options = {"page_size": 2, "patience": 10.0} | options
    found = iter_rows(log, START, START + timedelta(hours=hours), sleep=slept.append, **options)
    return [row.reference for row in found]


def test_windows_of_a_day_and_all_their_pages() -> None:
    log = Log(
        {
            (0, 1): TransactionPage(rows=rows("a", "b"), page=1, pages=2),
            (0, 2): TransactionPage(rows=rows("c"), page=2, pages=2),
            (24, 1): TransactionPage(rows=rows("d"), page=1, pages=1),
        }
    )
    assert read(log, 30) == ["a", "b", "c", "d"]
    day, end = START + timedelta(hours=24), START + timedelta(hours=30)
    assert log.asked == [(START, day, 1), (START, day, 2), (day, end, 1)]


def test_without_paging_facts_full_pages_are_followed() -> None:
    log = Log(
        {
            (0, 1): TransactionPage(rows=rows("a", "b"), page=None, pages=None),
            (0, 2): TransactionPage(rows=rows("c"), page=None, pages=None),
        }
    )
    assert read(log, 1) == ["a", "b", "c"]


def test_a_log_that_does_not_turn_pages_is_told_rather_than_read_for_ever() -> None:
    first = TransactionPage(rows=rows("a"), page=1, pages=3)
    with pytest.raises(CmComUnreadable, match="page 1 to a request for page 2"):
        read(Log({(0, 1): first, (0, 2): first}), 1)


def test_a_429_is_waited_for_as_long_as_it_says() -> None:
    slept: list[float] = []
    page = TransactionPage(rows=rows("a"), page=1, pages=1)
    log = Log(
        {(0, 1): [CmComThrottled("wait", retry_after=3.0), CmComThrottled("wait", retry_after=0.0), page]}
    )
    assert read(log, 1, slept=slept) == ["a"]
    assert slept == [3.0, 1.0]


@pytest.mark.parametrize("waits", [[None], [11.0], [6.0, 6.0]])
def test_but_not_longer_than_the_reader_has_patience(waits: list[float | None]) -> None:
    log = Log({(0, 1): [*(CmComThrottled("wait", retry_after=wait) for wait in waits)]})
    with pytest.raises(CmComThrottled):
        read(log, 1)


@pytest.mark.parametrize(
    ("status", "retry_after", "body", "error"),
    [
        (200, None, b"", None),
        (429, "5", b"", CmComThrottled),
        (429, None, b"", CmComThrottled),
        (503, "5", b"", CmComThrottled),
        (503, None, b"", CmComUnavailable),
        (500, None, b"<html>", CmComUnavailable),
        (401, None, b"", CmComAuthError),
        (403, None, b"", CmComAuthError),
        (400, None, b'{"errorCode":101}', CmComAuthError),
        (400, None, b'{"errorCode":"102"}', CmComBalanceError),
        (400, None, b'{"message":"bad date"}', CmComRequestError),
        (404, None, b"", CmComConfigError),
        (301, None, b"", CmComConfigError),
    ],
)
def test_a_status_is_told_by_what_there_is_to_do(
    status: int, retry_after: str | None, body: bytes, error: type[Exception] | None
) -> None:
    told = error_of_status(status=status, retry_after=retry_after, body=body, place="connection x, host")
    assert type(told) is (error or type(None))
    if told is not None:
        assert f"HTTP {status}, connection x, host" in str(told)
