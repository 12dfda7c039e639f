"""One clock for arrivals: UTC seconds that never step back, whatever happens to the machine's time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_ANCHOR = time.time() - time.monotonic()


def now() -> float:
    """Seconds since the epoch, monotonic within this process."""
    return _ANCHOR + time.monotonic()


def local(at: float, zone: str) -> datetime:
    """An aware time in a zone, to the second."""
    return datetime.fromtimestamp(int(at), UTC).astimezone(ZoneInfo(zone))


def parse(text: str, zone: str) -> float:
    """Seconds since the epoch of an ISO 8601 time, `zone` where it has no offset; raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).timestamp()
