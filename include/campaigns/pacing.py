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
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from include.campaigns.reconnecting import AWAY, Reconnecting
from include.campaigns.window import WINDOW, SlidingWindow
from include.database import named_sql

SQL = named_sql(__file__, "pacing.sql")
# How long after a worker's end, or the end of its lease, others may not take its share: until its last second is over,
# and what a request may be late and two clocks may drift in it.
HOLD = WINDOW + 0.5
TTL = 5.0
# A lease is renewed so often; more often while its share is on its way to another worker, or from one.
RENEWAL, RENEWAL_IN_CHANGE = 0.5, 0.1
# In so many parts a worker that ends gives its share back, as its last second goes by; and what clocks may drift in it.
PARTS, DRIFT = 5, 0.05


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


class Share(NamedTuple):
    """What a worker may use now, and what it will have once the others have let go: messages per second."""

    now: int
    later: int


def fair_share(worker: str, rate: int, leases: Sequence[Lease], *, in_use: int = 0) -> Share:
    """The share of `worker`, given every lease of the integration, its own included. Pure.

    Nobody has more than an equal part while another wants more; what a campaign with a limit of its own leaves goes to
    the others. Never more than others have really let go of; and what the worker has `in_use`, in its last second, goes
    to others as it leaves that second.
    """
    own = next(lease for lease in leases if lease.worker == worker)
    others = [lease for lease in leases if lease.worker != worker]
    free = rate - sum(lease.held for lease in others)
    if own.own_rate is not None:
        of_campaign = sum(lease.held for lease in others if lease.campaign_id == own.campaign_id)
        free = min(free, own.own_rate - of_campaign)
    later = _targets(rate, leases)[worker]
    return Share(max(0, min(max(later, in_use), free)), later)


def request_size(share: int, rate: int, most: int) -> int:
    """Messages of one request: about one percent of a second's of the whole integration, at most `most`. Pure.

    Whole requests have to fill the share, or a worker could not use all of it: what they leave over is under half a
    percent.
    """
    sizes = range(min(most, max(1, rate // 100), max(1, share)), 0, -1)
    return next(size for size in sizes if share % size * 200 <= share)


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
    together, `clock` the monotonic clock of whoever reports to `left`. Without a fresh lease the share is 0 and nothing
    leaves.
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._keys = {"connection_id": connection_id, "worker": worker}
        self._own = {"campaign_id": campaign_id, "own_rate": own_rate}
        self._rate = rate
        self._valid_until = 0.0
        self._renewal = RENEWAL
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
            await self._leave()
        await self._connection.drop()

    def request_size(self, most: int) -> int:
        """How many messages the next request should carry."""
        return request_size(self.window.share, self._rate, most)

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
        give_up = self._clock() + patience
        async with self._door:
            wait = self.window.admit(messages, self._now())
            while wait > 0:
                if self._clock() + wait > give_up:
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
        now = self._clock()
        if now > self._valid_until:
            self.window.share = 0
        return now

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(self._renewal)
            try:
                await self._renew()
            except AWAY:
                await self._connection.drop()
                continue  # the database is away: the share ends with `_valid_until` until it is back

    async def _renew(self) -> None:
        asked = self._now()
        in_use = self.window.occupied(asked)
        # What it need not have, it does not use while it asks.
        self.window.share = min(self.window.share, max(self.window.target, in_use))
        connection = await self._connection.get()
        async with connection.transaction():
            row = await (await connection.execute(SQL.lock_rate.sql, self._keys)).fetchone()
            assert row is not None  # noqa: S101 - registered on entry, never deleted
            await connection.execute(SQL.drop_expired.sql, self._keys)
            found = await (await connection.execute(SQL.leases.sql, self._keys)).fetchall()
            leases = [Lease(**lease) for lease in found if lease["worker"] != self._keys["worker"]]
            own = Lease(worker=self._keys["worker"], share=0, held=0, **self._own)
            share, later = fair_share(own.worker, row["messages_per_second"], [*leases, own], in_use=in_use)
            # Until the new share is known here, the window may fill up to the old one.
            held = max(share, self.window.share)
            terms: dict[str, Any] = {**self._keys, **self._own, "share": share, "held": held, "ttl": TTL}
            await connection.execute(SQL.renew.sql, terms)
        # Only a committed share counts; the lease is ours from before we asked.
        self.window.share, self.window.target, self._rate = share, later, row["messages_per_second"]
        self._valid_until = asked + TTL - HOLD
        self._renewal = RENEWAL if share == later == held else RENEWAL_IN_CHANGE

    async def _leave(self) -> None:
        """Give the share back, each part when its messages are out of every window."""
        parts = self.window.leaving(self._clock(), PARTS)
        terms = {
            "parts": [f"{self._keys['worker']}/{number}" for number in range(len(parts))],
            "held": [messages for messages, _ in parts],
            "seconds": [seconds + DRIFT for _, seconds in parts],
        }
        connection = await self._connection.get()
        async with connection.transaction():
            await connection.execute(SQL.lock_rate.sql, self._keys)
            await connection.execute(SQL.leave.sql, {**self._keys, **self._own, **terms})
