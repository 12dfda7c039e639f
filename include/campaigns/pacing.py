"""The rate: never above the cap in any sliding second, over all workers and campaigns of an integration.

Each worker holds a share of the integration's rate (a lease in PostgreSQL; the shares and what is still held
of given-up shares never add up to more than the rate) and keeps to its share by its own monotonic clock. So
no clock is compared with another machine's, and one database call a second is enough, however many requests
leave. Why not one row of time slots: docs/decisions/0002-rate-by-leases.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque

from include.campaigns.reconnecting import AWAY, Reconnecting
from include.database import named_sql

SQL = named_sql(__file__, "pacing.sql")
WINDOW = 1.0
# How long after a share was given up others may not take it: the window, and what two clocks may drift in it.
HOLD = WINDOW + 0.1
TTL = 5.0


class SlidingWindow:
    """At most `share` messages in any second, spread evenly. Times are seconds of `time.monotonic`.

    A request counts from the moment it may leave until one second after it left, so whatever happens in
    between the promise holds (proof: of all requests in a window, the last one admitted saw all the others
    counted).
    """

    def __init__(self, share: int) -> None:
        self.share = share
        self._left: deque[tuple[float, int]] = deque()
        self._in_window = 0
        self._pending = 0
        self._next = 0.0

    def wait(self, messages: int, now: float) -> float:
        """Seconds until `messages` may leave; 0 admits them, and they must then be reported to `left`."""
        while self._left and self._left[0][0] <= now - WINDOW:
            self._in_window -= self._left.popleft()[1]
        if self.share <= 0:
            return 0.1
        if self._pending + self._in_window + messages > self.share:
            return max(self._left[0][0] + WINDOW - now, 0.0005) if self._left else 0.001
        if now < self._next:
            return self._next - now
        # The even pace: a late request may be caught up with, by at most a tenth of a second's messages.
        step = messages / self.share
        self._next = max(self._next + step, now - 0.1)
        self._pending += messages
        return 0.0

    def left(self, admitted: int, messages: int, at: float) -> None:
        """Of the `admitted` messages, `messages` (0: none) left at `at`."""
        self._pending -= admitted
        if messages:
            # Reports may come out of order; the window only ever errs towards "later".
            self._left.append((max(at, self._left[-1][0] if self._left else at), messages))
            self._in_window += messages


class RateLease:
    """One worker's share of an integration's rate, kept fresh in the background. Use as `async with`.

    `connection` must be its own. Without a fresh lease the share is 0 and nothing leaves.
    """

    def __init__(self, connection: Reconnecting, *, connection_id: str, worker: str, rate: int) -> None:
        self._connection = connection
        self._parameters = {"connection_id": connection_id, "worker": worker}
        self._rate = rate
        self._valid_until = 0.0
        self._task: asyncio.Task[None] | None = None
        self.window = SlidingWindow(0)

    async def __aenter__(self) -> RateLease:
        await (await self._connection.get()).execute(
            SQL.register.sql,
            {"connection_id": self._parameters["connection_id"], "messages_per_second": self._rate},
        )
        await self._renew()
        self._task = asyncio.create_task(self._keep_fresh())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(*AWAY):  # then the lease expires by itself
            await (await self._connection.get()).execute(SQL.leave.sql, {**self._parameters, "hold": HOLD})
        await self._connection.drop()

    async def admit(self, messages: int) -> None:
        """Return when `messages` may leave. Each call must be answered by one `left`."""
        while True:
            now = time.monotonic()
            if now > self._valid_until:
                self.window.share = 0
            wait = self.window.wait(messages, now)
            if wait <= 0:
                return
            # Timers of the event loop are good to about a millisecond; the last one is waited for by turns.
            await asyncio.sleep(wait - 0.0015 if wait > 0.002 else 0)

    def left(self, admitted: int, messages: int, at: float) -> None:
        """Report how many of the admitted messages left, and when (`time.monotonic`)."""
        self.window.left(admitted, messages, at)

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            try:
                await self._renew()
            except AWAY:
                await self._connection.drop()
                continue  # the database is away: the share ends with `_valid_until` until it is back

    async def _renew(self) -> None:
        asked = time.monotonic()
        connection = await self._connection.get()
        async with connection.transaction():
            row = await (await connection.execute(SQL.lock_rate.sql, self._parameters)).fetchone()
            assert row is not None  # noqa: S101 - registered on entry, never deleted
            await connection.execute(SQL.drop_expired.sql, self._parameters)
            await connection.execute(SQL.join_in.sql, {**self._parameters, "ttl": TTL})
            parameters = {**self._parameters, "rate": row["messages_per_second"], "ttl": TTL, "hold": HOLD}
            lease = await (await connection.execute(SQL.renew.sql, parameters)).fetchone()
        share: int = lease["share"]  # type: ignore[index]
        # Only a committed share counts; the lease is ours from before we asked, less the second in which
        # others may see it gone.
        self.window.share = share
        self._valid_until = asked + TTL - HOLD
