"""The figures by which a test judges a sender: what was sent twice, how fast, and to whom after a STOP.

Kept as plain columns beside the journal, 33 bytes per message, so that a million messages are judged in a
fraction of a second.
"""

from __future__ import annotations

from array import array
from collections import Counter

import numpy as np
import numpy.typing as npt

from include.simulator.gateway.journal import MessageRow
from include.simulator.gateway.population import digits


class Judge:
    """Counts over all messages and requests since the start or the last reset; ids of messages count from
    1.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.requests: Counter[str] = Counter()
        self.stopped: dict[str, float] = {}
        self.after_stop = 0
        self._arrived = array("d")
        self._accepted = array("b")
        self._account = array("q")
        self._reference = array("q")
        self._recipient = array("q")
        self._known: tuple[int, dict[str, int]] = (-1, {})

    def request(self, outcome: str) -> None:
        """Count one POST of messages: answered, refused, throttled, or the name of a fault."""
        self.requests[outcome] += 1

    def message(self, row: MessageRow, *, template: bool = True) -> None:
        """Count one message that the gateway looked at, accepted or not. A free text may follow a STOP: it answers."""
        accepted = row.code == 0
        number = digits(row.recipient)
        self._arrived.append(row.arrived)
        self._accepted.append(accepted)
        self._account.append(hash(row.account))
        self._reference.append(hash(row.reference) if row.reference else 0)
        self._recipient.append(hash((row.account, row.grouping, number)))
        if accepted and template and self.stopped and self.stopped.get(number, row.arrived) < row.arrived:
            self.after_stop += 1

    def stop(self, number: str, at: float) -> None:
        """Note that a person asked to stop."""
        self.stopped.setdefault(digits(number), at)

    def __len__(self) -> int:
        return len(self._arrived)

    def stats(self) -> dict[str, int]:
        """The documented figures first (design, section 6), then further ones.

        `messages` are those the gateway looked at: not those of requests it refused, throttled or lost to a
        fault. References count over accepted messages; a duplicate recipient is an accepted message beyond
        the first for the same (account, customGrouping, number), `max_per_second` the most messages that
        arrived within any second.
        """
        if self._known[0] != len(self):
            self._known = (len(self), self._count())
        known = self._known[1]
        return {
            "requests": self.requests.total(),
            "messages": len(self),
            "accepted": known["accepted"],
            "unique_references": known["unique_references"],
            "duplicate_references": known["references"] - known["unique_references"],
            "duplicate_recipients": known["accepted"] - known["unique_recipients"],
            "max_per_second": known["max_per_second"],
            "rejected": len(self) - known["accepted"],
            "requests_answered": self.requests["answered"],
            "requests_refused": self.requests["refused"],
            "requests_throttled": self.requests["throttled"],
            "requests_faulted": self.requests.total()
            - sum(self.requests[outcome] for outcome in ("answered", "refused", "throttled")),
            "people_stopped": len(self.stopped),
            "messages_after_stop": self.after_stop,
        }

    def accepted(
        self, account: str, start: float, end: float, reference: str | None
    ) -> npt.NDArray[np.int64]:
        """Ids of an account's accepted messages that arrived in [start, end), by id; of one reference if
        given.
        """
        arrived = np.frombuffer(self._arrived, dtype="f8")
        mask = (arrived >= start) & (arrived < end)
        mask &= np.frombuffer(self._accepted, dtype="i1") == 1
        mask &= np.frombuffer(self._account, dtype="i8") == hash(account)
        if reference is not None:
            mask &= np.frombuffer(self._reference, dtype="i8") == hash(reference)
        return np.flatnonzero(mask) + 1

    def _count(self) -> dict[str, int]:
        accepted = np.frombuffer(self._accepted, dtype="i1") == 1
        references = np.frombuffer(self._reference, dtype="i8")[accepted]
        references = references[references != 0]
        return {
            "accepted": int(accepted.sum()),
            "references": len(references),
            "unique_references": len(np.unique(references)),
            "unique_recipients": len(np.unique(np.frombuffer(self._recipient, dtype="i8")[accepted])),
            "max_per_second": _most_within_a_second(np.frombuffer(self._arrived, dtype="f8")),
        }


def _most_within_a_second(arrived: npt.NDArray[np.float64]) -> int:
    if not len(arrived):
        return 0
    times = np.sort(arrived)
    # The fullest window of the form [t, t + 1) starts at an arrival.
    return int((np.searchsorted(times, times + 1.0, side="left") - np.arange(len(times))).max())
