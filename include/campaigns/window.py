"""One worker's part of the rate: an even pace, and the promise that no sliding second ever contains more."""

from __future__ import annotations

from collections import deque

WINDOW = 1.0
# Turns are given out a little slower than the share: the second that a request stays in the window begins when it has
# left, some milliseconds after its turn, and a gateway sees requests arrive less evenly than they left.
PACE = 0.99
# A worker that was late catches up with at most so many seconds of its pace, and so much faster than the share; closer
# together than that no two requests leave, but for what a timer may be late. The window holds all the same.
CATCH_UP = 0.2
HURRY = 1.1
TIMER = 0.015
# Rows are claimed for at most this much more than there is room for: while they come, room is made.
AHEAD = 0.05
# After the gateway asked to wait: half the pace, and back to all of it within so many seconds.
SLOWEST = 1 / 32
RECOVERY = 20.0


class SlidingWindow:
    """At most `share` messages in any second, spread evenly at about `target` a second: the same, but for a share that
    is on its way to another worker, or from one. Times are seconds of `time.monotonic`.

    A request takes its *turn* before anything is claimed for it, and is *admitted* right before it leaves. From then
    on it counts, until one second after it left, so whatever happens in between the promise holds (proof: of all
    requests in a window, the last one admitted saw all the others counted).
    """

    def __init__(self, share: int) -> None:
        self.share = self.target = share
        self._left: deque[tuple[float, int]] = deque()
        self._in_window = 0
        self._pending = 0
        self._claiming = 0
        self._next = 0.0
        self._door = 0.0
        self._slowness = 1.0
        self._slowed_at = 0.0

    def turn(self, messages: int, now: float) -> float:
        """Seconds until it is the turn of the next `messages`; 0 gives it."""
        if self.share <= 0 or self.target <= 0:
            return 0.05
        if not self._next:
            self._next = now
        if now < self._next:
            return self._next - now
        if self._claiming and self.occupied(now) + self._claiming > self.share * (1 + AHEAD):
            return self._until_room(now)
        self._next = max(self._next, now - CATCH_UP) + messages / self.pace(now)
        self._claiming += messages
        return 0.0

    def unused(self, messages: int, now: float) -> None:
        """Of a turn's messages, so many were not there: the next turn is earlier."""
        self._claiming = max(0, self._claiming - messages)
        if self.target > 0:
            self._next -= messages / self.pace(now)

    def pace(self, now: float) -> float:
        """Messages per second at which turns are given out."""
        recovered = min(1.0, self._slowness + (now - self._slowed_at) / RECOVERY)
        return self.target * PACE * recovered

    def slow_down(self, wait: float, now: float) -> None:
        """The gateway wants no more for `wait` seconds, and then fewer per second than before."""
        if now >= self._slowed_at:  # requests that were under way together are asked together: once is enough
            recovered = min(1.0, self._slowness + (now - self._slowed_at) / RECOVERY)
            self._slowness, self._slowed_at = max(recovered / 2, SLOWEST), now + wait
        self.hold_off(wait, now)

    def hold_off(self, wait: float, now: float) -> None:
        """No turn for so many seconds."""
        self._next = max(self._next, now + wait)

    def admit(self, messages: int, now: float) -> float:
        """Seconds until `messages` may leave; 0 admits them, and they must then be reported to `left`."""
        if now < self._door:
            return self._door - now
        if self.occupied(now) + messages <= self.share:
            self._door = max(self._door, now - TIMER) + messages / (max(self.share, self.target) * HURRY)
            self._pending += messages
            self._claiming = max(0, self._claiming - messages)
            return 0.0
        return self._until_room(now)

    def left(self, admitted: int, messages: int, at: float) -> None:
        """Of the `admitted` messages, `messages` (0: none) left at `at`."""
        self._pending -= admitted
        if messages:
            # Reports may come out of order; the window only ever errs towards "later".
            self._left.append((max(at, self._left[-1][0] if self._left else at), messages))
            self._in_window += messages

    def leaving(self, now: float, parts: int) -> list[tuple[int, float]]:
        """What is in the window, by parts of the second: messages, and in how many seconds they are all out of it."""
        self.occupied(now)
        found: dict[int, tuple[int, float]] = {}
        for at, messages in self._left:
            part = min(parts - 1, int((at + WINDOW - now) / WINDOW * parts))
            found[part] = (found.get(part, (0, 0.0))[0] + messages, at + WINDOW - now)
        if self._pending:  # admitted and never reported: nothing is known of when they left
            found[parts] = (self._pending, WINDOW)
        return list(found.values())

    def _until_room(self, now: float) -> float:
        return max(self._left[0][0] + WINDOW - now, 0.0005) if self._left else 0.001

    def occupied(self, now: float) -> int:
        """Messages that count at this moment."""
        while self._left and self._left[0][0] <= now - WINDOW:
            self._in_window -= self._left.popleft()[1]
        return self._pending + self._in_window
