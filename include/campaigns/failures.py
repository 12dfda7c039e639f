"""What is done about a failure, by Meta's code: data, not code. A code that is not here is reported and not repeated.

Meanings and sources: include/message_log/codes.py. The classes are our judgement (Cloud API "Error codes", 2026-09-11);
docs/sending.md says what each class does.
"""

from __future__ import annotations

from typing import Final, Literal

from include.message_log.codes import META_CODES

Action = Literal[
    "retry", "retry_24h", "permanent", "suppress", "stop_template", "stop_sender", "configuration"
]

ACTIONS: Final[dict[int, Action]] = {
    0: "stop_sender",
    1: "retry",
    2: "retry",
    3: "stop_sender",
    4: "retry",
    10: "stop_sender",
    33: "stop_sender",
    100: "configuration",
    190: "stop_sender",
    368: "stop_sender",
    80007: "retry",
    130403: "permanent",
    130429: "retry",
    130472: "permanent",
    130497: "permanent",
    131000: "retry",
    131005: "stop_sender",
    131008: "configuration",
    131009: "configuration",
    131016: "retry",
    131021: "permanent",
    131026: "permanent",
    131031: "stop_sender",
    131037: "stop_sender",
    131042: "stop_sender",
    131045: "stop_sender",
    131047: "permanent",
    131048: "stop_sender",
    131049: "retry_24h",
    131050: "suppress",
    131051: "configuration",
    131053: "configuration",
    131055: "configuration",
    131056: "retry",
    131057: "retry",
    131063: "stop_sender",
    131064: "stop_sender",
    132000: "stop_template",
    132001: "stop_template",
    132005: "configuration",
    132007: "stop_template",
    132012: "configuration",
    132015: "stop_template",
    132016: "stop_template",
    132018: "stop_template",
    132068: "stop_template",
    132069: "stop_template",
    133004: "retry",
    133010: "stop_sender",
    134100: "configuration",
    134101: "retry",
    134102: "configuration",
    135000: "stop_sender",
}

# How long to wait before another attempt. 131049: never within 24 hours (per-user marketing limits, B.7).
DELAY_MINUTES: Final[dict[Action, int]] = {"retry": 15, "retry_24h": 24 * 60 + 30}


def codes(*actions: Action) -> list[int]:
    """Every code of those actions, in Meta's and in CM.com's numbering (a status may carry either)."""
    meta = {code for code, action in ACTIONS.items() if action in actions}
    return sorted(meta | {ours for ours, theirs in META_CODES.items() if theirs in meta})


# Failures that say something about a person, not about the campaign: they trip no brake.
FORGIVEN: Final = codes("permanent", "suppress", "retry_24h")
STOPPING: Final = codes("stop_sender", "stop_template")
