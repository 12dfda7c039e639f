"""What is done about a failure, by Meta's code: data, not code.

Meanings and sources: include/message_log/codes.py. Classes, retries and delays are our judgement of Cloud API "Error
codes" as of 2026-09-11; docs/sending.md says what each class does. A code that is not here is sent once more, and said
to be unknown in the log and in the campaign's history.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from include.message_log.codes import META_CODES, SMS

Action = Literal[
    "retry",
    "retry_24h",
    "permanent",
    "suppress",
    "close_country",
    "stop_template",
    "stop_sender",
    "configuration",
    "unknown",
]


class Rule(NamedTuple):
    """What to do: how often at most the same message is sent again (within the form's attempts), after how long."""

    action: Action
    retries: int = 0
    minutes: int = 0


STOP_SENDER: Final = Rule("stop_sender")
STOP_TEMPLATE: Final = Rule("stop_template")
CONFIGURATION: Final = Rule("configuration")
PERMANENT: Final = Rule("permanent")
RETRY: Final = Rule("retry", 3, 15)
# Per-user marketing limits (B.7): never within 24 hours, or Meta shuts marketing to the person for another day.
RETRY_24H: Final = Rule("retry_24h", 2, 24 * 60 + 30)
UNKNOWN: Final = Rule("unknown", 1, 15)

RULES: Final[dict[int, Rule]] = {
    0: STOP_SENDER,
    1: RETRY,
    2: RETRY,
    3: STOP_SENDER,
    4: RETRY,
    10: STOP_SENDER,
    33: STOP_SENDER,
    100: CONFIGURATION,
    190: STOP_SENDER,
    **dict.fromkeys(range(200, 300), STOP_SENDER),
    368: STOP_SENDER,
    80007: RETRY,
    130403: PERMANENT,
    130429: RETRY,
    130472: PERMANENT,
    130497: Rule("close_country"),
    131000: RETRY,
    131005: STOP_SENDER,
    131008: CONFIGURATION,
    131009: CONFIGURATION,
    131016: RETRY,
    131021: PERMANENT,
    131026: PERMANENT,
    131031: STOP_SENDER,
    131037: STOP_SENDER,
    131042: STOP_SENDER,
    131045: STOP_SENDER,
    131047: PERMANENT,
    131048: STOP_SENDER,
    131049: RETRY_24H,
    131050: Rule("suppress"),
    131051: CONFIGURATION,
    131052: PERMANENT,
    131053: CONFIGURATION,
    131055: CONFIGURATION,
    131056: Rule("retry", 3, 5),
    131057: Rule("retry", 3, 10),
    131063: STOP_SENDER,
    131064: STOP_SENDER,
    132000: STOP_TEMPLATE,
    132001: STOP_TEMPLATE,
    132005: CONFIGURATION,
    132007: STOP_TEMPLATE,
    132012: CONFIGURATION,
    132015: STOP_TEMPLATE,
    132016: STOP_TEMPLATE,
    132018: STOP_TEMPLATE,
    132068: STOP_TEMPLATE,
    132069: STOP_TEMPLATE,
    **dict.fromkeys(range(133000, 133011), STOP_SENDER),
    133004: RETRY,
    133015: RETRY,
    133016: RETRY,
    134100: CONFIGURATION,
    134101: Rule("retry", 3, 10),
    134102: CONFIGURATION,
    135000: STOP_SENDER,
}
"""By Meta's code."""

# A message that fell back to SMS is no WhatsApp message: what its network says is final.
SMS_CODES: Final = dict.fromkeys(SMS, PERMANENT)


def rule(code: int | None) -> Rule:
    """The rule for a status report's code, in CM.com's numbering (51 …) or Meta's."""
    if code is None:
        return UNKNOWN
    return RULES.get(META_CODES.get(code, code)) or SMS_CODES.get(code, UNKNOWN)


def codes(*actions: Action) -> list[int]:
    """Every code of those actions, in Meta's and in CM.com's numbering (a status may carry either)."""
    return sorted(code for code in KNOWN if rule(code).action in actions)


KNOWN: Final = sorted({*RULES, *META_CODES, *SMS_CODES})
# Failures that say something about a person or a country, not about the campaign: they trip no brake.
FORGIVEN: Final = codes("permanent", "suppress", "retry_24h", "close_country")
CLOSING: Final = codes("close_country")
STOPPING: Final = codes("stop_sender", "stop_template")
# Groups of codes that are sent again as often and after as long.
RETRIED: Final[dict[Rule, list[int]]] = {
    found: [code for code in KNOWN if rule(code) == found]
    for found in sorted({rule(code) for code in KNOWN if rule(code).retries})
}
