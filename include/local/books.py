"""Do the books balance? Our ledger, the simulator's judge and the sample's generator must say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.reports import Funnel

COUNTED = ("target", "excluded", "accepted", "failed", "delivered", "read", "replied", "opted_out")
OPEN = ("waiting", "sending", "uncertain")


def problems(funnel: Funnel, judge: Mapping[str, int], expected: Mapping[str, Any]) -> list[str]:
    """What does not agree, a sentence each; empty when everything does.

    ``expected`` has the figures of `COUNTED` and ``excluded_by_reason``, as the sample was made to give.
    """
    reasons = dict(funnel.excluded_by_reason())
    wanted: Mapping[str, int] = expected["excluded_by_reason"]
    compared = [
        ("people unaccounted for in the ledger", funnel.balance, 0),
        ("repeated references seen by the simulator", judge["duplicate_references"], 0),
        ("people who got the campaign more than once", judge["duplicate_recipients"], 0),
        ("messages that the simulator accepted", judge["accepted"], funnel.accepted),
        *((name.replace("_", " "), getattr(funnel, name), expected[name]) for name in COUNTED),
        *((name, getattr(funnel, name), 0) for name in OPEN),
        ("awaiting", funnel.awaiting, expected["accepted"] - expected["failed"] - expected["delivered"]),
        *(
            (f"excluded as {reason.replace('_', ' ')}", reasons.get(reason, 0), wanted.get(reason, 0))
            for reason in sorted({*reasons, *wanted})
        ),
    ]
    return [f"{what}: {found:,}, expected {should:,}" for what, found, should in compared if found != should]
