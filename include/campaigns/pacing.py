"""The rate: never above the cap in any sliding second, over all workers and campaigns of an integration.

Each worker holds a share of the integration's rate: a lease in PostgreSQL. What all workers may have in any second
(their shares, or what a worker that has to give some up still has in its window) never adds up to more than the rate,
and each keeps to its share by its own monotonic clock. So no clock is compared with another machine's, and one database
call every half second is enough, however many requests leave. Why not one row of time slots:
docs/decisions/0002-rate-by-leases.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from include.campaigns.reconnecting import AWAY, Reconnecting
from include.campaigns.window import WINDOW, SlidingWindow
from include.database import named_sql

SQL = named_sql(__file__, "pacing.sql")
# How long after a worker's end, or the end of its lease, others may not take its share: until its last second is over,
# and what a request may be late and two clocks may drift in it.
HOLD = WINDOW + 0.5
TTL = 5.0
RENEWAL = 0.5


class Lease(NamedTuple):
    """One worker's part of a rate. `own_rate`: what its campaign asked for, all its workers together; None: no limit.
    Workers without a campaign, such as those that answer people, count as one.

    `held` is the most the worker can have in any second: its share, or more while it is giving some up.
    """

    worker: str
    campaign_id: int | None
    own_rate: int | None
    share: int
    held: int


def fair_share(worker: str, rate: int, leases: Sequence[Lease]) -> int:
    """The messages per second that `worker` may use now, given every lease of the integration, its own included. Pure.

    Nobody has more than an equal part while another wants more; what a campaign with a limit of its own leaves goes to
    the others. Never more than others have really let go of.
    """
    own = next(lease for lease in leases if lease.worker == worker)
    others = [lease for lease in leases if lease.worker != worker]
    free = rate - sum(lease.held for lease in others)
    if own.own_rate is not None:
        of_campaign = sum(lease.held for lease in others if lease.campaign_id == own.campaign_id)
        free = min(free, own.own_rate - of_campaign)
    return max(0, min(_targets(rate, leases)[worker], free))


def _targets(rate: int, leases: Sequence[Lease]) -> dict[str, int]:
    """Whole messages per second for each worker once everybody has let go: the smallest wishes are met first."""
    wishes: dict[str, int] = {}
    workers = Counter(lease.campaign_id for lease in leases)
    seen: Counter[int | None] = Counter()
    for lease in sorted(leases, key=lambda lease: lease.worker):
        position, of = seen[lease.campaign_id], workers[lease.campaign_id]
        seen[lease.campaign_id] += 1
        limit = rate if lease.own_rate is None else (lease.own_rate + of - 1 - position) // of
        wishes[lease.worker] = min(rate, limit)
    targets: dict[str, int] = {}
    for number, (worker, wish) in enumerate(sorted(wishes.items(), key=lambda item: (item[1], item[0]))):
        targets[worker] = min(wish, rate // (len(wishes) - number))
        rate -= targets[worker]
    return targets


class RateLease:
    """One worker's share of an integration's rate, kept fresh in the background. Use as `async with`.

    `connection` must be its own. `rate` is the integration's, `own_rate` the most that all workers of the campaign want
    together. Without a fresh lease the share is 0 and nothing leaves.
    """

    def __init__(
        self,
        connection: Reconnecting,
        *,
        connection_id: str,
        worker: str,
        rate: int,
        campaign_id: int | None = None,
        own_rate: int | None = None,
    ) -> None:
        self._connection = connection
        self._keys = {"connection_id": connection_id, "worker": worker}
        self._own = {"campaign_id": campaign_id, "own_rate": own_rate}
        self._rate = rate
        self._valid_until = 0.0
        self._task: asyncio.Task[None] | None = None
        # One lane at a time waits for the clock; the others queue, each for its turn.
        self._turns = asyncio.Lock()
        self._door = asyncio.Lock()
        self.window = SlidingWindow(0)

    async def __aenter__(self) -> RateLease:
        registered = {"connection_id": self._keys["connection_id"], "messages_per_second": self._rate}
        await (await self._connection.get()).execute(SQL.register.sql, registered)
        await self._renew()
        self._task = asyncio.create_task(self._keep_fresh())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(*AWAY):  # then the lease expires by itself
            await (await self._connection.get()).execute(SQL.leave.sql, {**self._keys, "hold": HOLD})
        await self._connection.drop()

    async def turn(self, messages: int) -> None:
        """Return when it is the turn of `messages`, at an even pace. What is not sent of them goes to `unused`."""
        async with self._turns:
            wait = self.window.turn(messages, self._now())
            while wait > 0:
                await asyncio.sleep(wait)
                wait = self.window.turn(messages, self._now())

    def unused(self, messages: int) -> None:
        """So many messages of a turn were not sent."""
        self.window.unused(messages, self._now())

    async def admit(self, messages: int, *, patience: float = math.inf) -> bool:
        """Whether `messages` may leave now, waiting at most `patience` seconds. If so, one `left` must follow."""
        give_up = time.monotonic() + patience
        async with self._door:
            wait = self.window.admit(messages, self._now())
            while wait > 0:
                if time.monotonic() + wait > give_up:
                    return False
                await asyncio.sleep(wait)
                wait = self.window.admit(messages, self._now())
        return True

    def left(self, admitted: int, messages: int, at: float) -> None:
        """Report how many of the admitted messages left, and when (`time.monotonic`)."""
        self.window.left(admitted, messages, at)

    def slow_down(self, wait: float) -> None:
        """The gateway asked to wait."""
        self.window.slow_down(wait, self._now())

    def hold_off(self, wait: float) -> None:
        """Let nothing have its turn for a while."""
        self.window.hold_off(wait, self._now())

    def _now(self) -> float:
        now = time.monotonic()
        if now > self._valid_until:
            self.window.share = 0
        return now

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL)
            try:
                await self._renew()
            except AWAY:
                await self._connection.drop()
                continue  # the database is away: the share ends with `_valid_until` until it is back

    async def _renew(self) -> None:
        asked = self._now()
        connection = await self._connection.get()
        async with connection.transaction():
            row = await (await connection.execute(SQL.lock_rate.sql, self._keys)).fetchone()
            assert row is not None  # noqa: S101 - registered on entry, never deleted
            await connection.execute(SQL.drop_expired.sql, self._keys)
            found = await (await connection.execute(SQL.leases.sql, self._keys)).fetchall()
            leases = [Lease(**lease) for lease in found if lease["worker"] != self._keys["worker"]]
            own = Lease(worker=self._keys["worker"], share=0, held=0, **self._own)
            share = fair_share(own.worker, row["messages_per_second"], [*leases, own])
            # Until the new share is known here, the window may fill up to the old one.
            held = max(share, self.window.share, self.window.occupied(asked))
            terms: dict[str, Any] = {**self._keys, **self._own, "share": share, "held": held, "ttl": TTL}
            await connection.execute(SQL.renew.sql, terms)
        # Only a committed share counts; the lease is ours from before we asked.
        self.window.share = share
        self._valid_until = asked + TTL - HOLD
