"""Statuses that come back, from webhooks and from CM.com's message log, through one idempotent way in."""

from include.message_log.compare import Comparison, compare_day, compare_due_days, difference_csv
from include.message_log.events import Applied, StatusEvent, apply_events, commit_events
from include.message_log.pull import LogResult, backfill, pull
from include.message_log.rows import LogRow, MessageLog

__all__ = [
    "Applied",
    "Comparison",
    "LogResult",
    "LogRow",
    "MessageLog",
    "StatusEvent",
    "apply_events",
    "backfill",
    "commit_events",
    "compare_day",
    "compare_due_days",
    "difference_csv",
    "pull",
]
