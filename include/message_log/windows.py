"""Which spans of the message log to ask for. Pure: no clock, no database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

# CM.com documents no longest span; 24 hours is what public clients ask for.
LONGEST = timedelta(hours=24)
# A message may be missing from the log for a while after sending, and a status changes a row that was read before.
OVERLAP = timedelta(hours=1)


class Window(NamedTuple):
    """A span of the log, `start` included, `end` not."""

    start: datetime
    end: datetime


def regular(*, now: datetime, watermark: datetime | None, lookback: timedelta) -> list[Window]:
    """From an hour before the newest span that was read in full up to now; at first from `lookback` ago."""
    start = now - lookback if watermark is None else min(watermark - OVERLAP, now - OVERLAP)
    return split(start, now)


def again(days: Iterable[date], *, before: datetime) -> list[Window]:
    """Whole days (UTC) that are read again, as far as they lie before the regular spans."""
    starts = [datetime.combine(day, time(), UTC) for day in sorted(set(days))]
    return [Window(start, min(start + LONGEST, before)) for start in starts if start < before]


def split(start: datetime, end: datetime) -> list[Window]:
    """A span in pieces of at most 24 hours."""
    pieces = []
    while start < end:
        pieces.append(Window(start, min(start + LONGEST, end)))
        start = pieces[-1].end
    return pieces
