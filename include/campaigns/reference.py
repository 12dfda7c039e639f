"""The reference that CM.com echoes: it names the ledger row, so no look-up table is needed to find it again."""

from __future__ import annotations

import re
from typing import NamedTuple

# The generated column campaign_message.reference, read backwards (migration 0001).
PATTERN = re.compile(
    r"(?P<month>20\d{4})c(?P<campaign>\d{1,18})s(?P<person>\d{1,18})a(?P<attempt>\d{1,4})", re.ASCII
)


class LedgerKey(NamedTuple):
    """The row of `campaign_message` and the attempt that a reference names."""

    month: int
    campaign_id: int
    subscription_id: int
    attempt: int


def parse(reference: str | None) -> LedgerKey | None:
    """The ledger row of a reference, or None when it is not one of ours."""
    match = PATTERN.fullmatch(reference or "")
    if match is None:
        return None
    key = LedgerKey(*(int(group) for group in match.groups()))
    return key if 1 <= key.month % 100 <= 12 else None


def grouping(campaign_id: int) -> str:
    """customGrouping of every message of a campaign: CM.com's own log is filtered by it."""
    return f"campaign-{campaign_id}"
