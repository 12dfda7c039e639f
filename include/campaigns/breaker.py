"""The brake: looks at the last results of one worker and says when sending must stop until a person has
looked.
"""

from __future__ import annotations

from collections import deque


class Breaker:
    """Trips on a refusal of every request, or on a share of bad results. Tripping is for good; a resume
    starts anew.
    """

    def __init__(
        self, *, last: int = 200, least: int = 50, max_uncertain: float = 0.2, max_rejected: float = 0.5
    ) -> None:
        self._results: deque[str] = deque(maxlen=last)
        self._least = least
        self._max_uncertain = max_uncertain
        self._max_rejected = max_rejected
        self.tripped = False

    def note(self, states: list[str], *, fatal_code: int | None) -> str | None:
        """Take in one request's results; the reason to pause, the first time there is one."""
        self._results.extend(state for state in states if state != "planned")
        if self.tripped:
            return None
        reason = self._reason(fatal_code)
        self.tripped = reason is not None
        return reason

    def _reason(self, fatal_code: int | None) -> str | None:
        if fatal_code is not None:
            return f"CM.com refuses every request (code {fatal_code}): correct token or balance, then resume"
        seen = len(self._results)
        if seen < self._least:
            return None
        uncertain = self._results.count("uncertain") / seen
        if uncertain > self._max_uncertain:
            return f"{uncertain:.0%} of the last {seen} messages got no answer: see CM.com's status, resume"
        rejected = self._results.count("rejected") / seen
        if rejected > self._max_rejected:
            return f"{rejected:.0%} of the last {seen} messages were refused: see their codes, then resume"
        return None
