"""Windows of the log and what a row of it tells."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from cm_com.wire.transactions import read_page

from include.message_log.rows import events_of
from include.message_log.windows import Window, again, regular

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_the_first_pull_looks_back_and_every_next_one_overlaps() -> None:
    day = timedelta(days=1)
    assert regular(now=NOW, watermark=None, lookback=2 * day) == [
        Window(NOW - 2 * day, NOW - day),
        Window(NOW - day, NOW),
    ]
    ten = timedelta(minutes=10)
    assert regular(now=NOW, watermark=NOW - ten, lookback=2 * day) == [
        Window(NOW - ten - timedelta(hours=1), NOW)
    ]
    # After a long silence nothing is left out.
    assert regular(now=NOW, watermark=NOW - 5 * day, lookback=2 * day)[0].start == NOW - 5 * day - timedelta(
        hours=1
    )


def test_days_read_again_end_where_the_regular_spans_begin() -> None:
    days = [date(2026, 11, 22), date(2026, 11, 20), date(2026, 11, 20)]
    assert again(days, before=NOW) == [
        Window(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)),
        Window(datetime(2026, 11, 22, tzinfo=UTC), NOW),
    ]
    assert again([date(2026, 11, 23)], before=NOW) == []


@pytest.mark.parametrize(
    ("status", "description", "told"),
    [
        (19, "", [("accepted", 0)]),
        (37, "Sent", [("accepted", 0)]),
        (20, "Delivered", [("delivered", 3)]),
        (20, "Read", [("delivered", 3), ("read", 3600)]),
        (21, "Failed", [("failed", 3)]),
        (22, "", [("rejected", 0)]),
        (40, "Undelivered", [("rejected", 0)]),
        (99, "New", []),
        (None, "", []),
    ],
)
def test_every_status_of_the_log(status: int | None, description: str, told: list[tuple[str, int]]) -> None:
    created = NOW - timedelta(hours=1)
    document = {
        "status": 1,
        "result": [
            {
                "Reference": "202611c1s2a1",
                "recipient": "0031612345678",
                "status": status,
                "statusDescription": description,
                "standarderror": "62" if status == 21 else None,
                "created": created.astimezone().isoformat(),
                "deliverytime": 3,
                "price": 0.07,
                "currency": "EUR",
                "countryiso": "NL",
            }
        ],
    }
    [row] = read_page(document, direction="out").rows
    events = events_of(row, now=NOW)
    assert [(each.status, (each.occurred_at - created).seconds) for each in events] == told
    assert all((each.price, each.currency, each.country) == (Decimal("0.07"), "EUR", "NL") for each in events)
    assert [each.error_code for each in events] == ([62] if status == 21 else [None] * len(told))
