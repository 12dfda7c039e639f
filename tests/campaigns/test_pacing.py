"""The rate, judged from outside: whatever workers do, no sliding second ever contains more than the cap."""

from __future__ import annotations

import bisect
import itertools
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from include.campaigns.pacing import SQL, Lease, RateLease, fair_share, request_size
from include.campaigns.reconnecting import Reconnecting
from include.campaigns.window import SlidingWindow

Departures = list[tuple[float, int]]


def most_in_a_second(departures: Departures) -> int:
    """The most messages of any [t, t + 1): the fullest one begins at a departure."""
    departures = sorted(departures)
    times = [at for at, _ in departures]
    total = [0, *itertools.accumulate(messages for _, messages in departures)]
    return max(
        (total[bisect.bisect_left(times, at + 1.0)] - total[place] for place, at in enumerate(times)),
        default=0,
    )


# One worker's window ------------------------------------------------------------------------------------------


def test_any_haste_and_any_lateness_leave_the_window_below_its_share() -> None:
    """2,000 workers of random share, request size, lateness and greed; some ask for turns, some only at the door."""
    chance = random.Random(11)
    for case in range(2_000):
        share, size = chance.choice([1, 3, 7, 80, 400, 1000]), chance.randint(1, 12)
        size = min(size, share)
        departures = _send_in_haste(chance, SlidingWindow(share), size)
        assert most_in_a_second(departures) <= share, f"case {case}: share {share}, size {size}"


def _send_in_haste(chance: random.Random, window: SlidingWindow, size: int) -> Departures:
    now, departures, under_way = 100.0, [], []
    lateness = chance.choice([0.0, 0.001, 0.05, 0.7, 3.0])
    for _ in range(60):
        now += chance.choice([0.0, 0.0005, 0.01, 0.3, 1.0 - 1e-9, 1.0])
        messages = chance.randint(1, size)
        if window.admit(messages, now) <= 0:
            under_way.append((now + chance.uniform(0, lateness), messages))
        for leaves_at, admitted in [each for each in under_way if each[0] <= now]:
            under_way.remove((leaves_at, admitted))
            sent = chance.choice([admitted, admitted, 0])
            window.left(admitted, sent, leaves_at)
            if sent:
                departures.append((leaves_at, sent))
    return departures


@pytest.mark.parametrize("share", [1, 3, 80, 400, 1000])
@pytest.mark.parametrize("late_by", [0.0, 0.002, 0.01])
def test_a_worker_reaches_98_percent_of_its_share(share: int, late_by: float) -> None:
    """Timers late by two milliseconds, and a request that leaves a while after it was admitted."""
    window, size = SlidingWindow(share), request_size(share, share, 100)
    now, departures = 50.0, []
    while now < 80.0:
        for gate in (window.turn, window.admit):
            while (wait := gate(size, now)) > 0:
                now += wait + min(late_by, 0.002)
        window.left(size, size, now + late_by)
        departures.append((now + late_by, size))
    seconds = departures[-1][0] - departures[0][0]
    sent = sum(messages for _, messages in departures) - size
    assert most_in_a_second(departures) <= share
    assert sent / seconds >= 0.98 * share


def test_a_stall_is_caught_up_with_evenly() -> None:
    window = SlidingWindow(100)
    now, departures = 10.0, []
    while now < 14.0:
        if 11.0 < now < 11.15:
            now = 11.15  # the process got no time
        for gate in (window.turn, window.admit):
            while (wait := gate(1, now)) > 0:
                now += wait
        window.left(1, 1, now)
        departures.append((now, 1))
    assert len(departures) >= 0.98 * 400 - 5
    gaps = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(departures)]
    assert min(sum(gaps[place : place + 10]) for place in range(len(gaps) - 10)) > 0.07


def test_asked_to_wait_a_worker_waits_and_then_speeds_up_again() -> None:
    window = SlidingWindow(1000)
    assert window.turn(10, 5.0) == 0
    for _ in range(8):
        window.slow_down(2.0, 5.0)  # eight requests under way together are one piece of news
    assert window.turn(10, 5.1) == pytest.approx(1.9)
    assert window.pace(7.0) == pytest.approx(0.99 * 500)
    assert window.pace(12.0) == pytest.approx(0.99 * 750)
    assert window.pace(17.1) == pytest.approx(0.99 * 1000)


# Shares of several workers ------------------------------------------------------------------------------------


def test_shares_add_up_to_no_more_than_the_rate_and_to_all_of_it_once_everybody_let_go() -> None:
    chance = random.Random(5)
    for _ in range(3_000):
        rate = chance.choice([1, 2, 7, 80, 333, 1000])
        own_rates = {None: None} | {number: chance.choice([None, 1, 50, 400]) for number in range(3)}
        workers = [(f"w{number}", chance.choice(list(own_rates))) for number in range(chance.randint(1, 7))]
        leases = [Lease(name, campaign, own_rates[campaign], 0, 0) for name, campaign in workers]
        held = 0
        for place, lease in enumerate(leases):
            share = fair_share(lease.worker, rate, leases)
            assert 0 <= share.now <= share.later
            leases[place] = lease._replace(share=share.now, held=share.now)
            held += share.now
        assert held <= rate
        wished = [
            min([rate, *(own_rates[lease.campaign_id] for _ in [0] if own_rates[lease.campaign_id])])
            for lease in leases
        ]
        for campaign, own in own_rates.items():
            of_campaign = sum(lease.share for lease in leases if lease.campaign_id == campaign)
            assert own is None or of_campaign <= own
        if any(own_rates[lease.campaign_id] is None for lease in leases):
            assert held == rate
        else:
            assert held == min(
                rate,
                sum({lease.campaign_id: own for lease, own in zip(leases, wished, strict=True)}.values()),
            )


def test_what_a_campaign_does_not_want_the_others_get() -> None:
    small, large = Lease("a", 1, 100, 0, 0), Lease("b", 2, None, 0, 0)
    assert fair_share("a", 1000, [small, large]) == (100, 100)
    assert fair_share("b", 1000, [small, large]) == (900, 900)
    greedy = small._replace(worker="c", own_rate=None, campaign_id=3, share=1000, held=1000)
    assert fair_share("b", 1000, [small._replace(worker="d"), large, greedy]) == (0, 450)


def test_requests_fill_a_share() -> None:
    for rate in (1, 80, 400, 999, 1000, 1_000_000):
        for share in {1, 2, 7, 33, 100, 103, 250, 333, rate // 3 + 1, rate}:
            size = request_size(share, rate, 100)
            assert 1 <= size <= max(1, min(100, rate // 100))
            assert share % size <= share / 200
    assert [request_size(share, share, 100) for share in (80, 400, 1000)] == [1, 4, 10]
    assert request_size(0, 1000, 100) == 1


# The lease, with PostgreSQL's clock in our hands ---------------------------------------------------------------


@dataclass
class World:
    """Virtual time for workers and database alike, and every departure in it."""

    dsn: str
    chance: random.Random
    now: float = 1000.0
    departures: Departures = field(default_factory=list)

    @asynccontextmanager
    async def worker(self, name: str, rate: int, campaign: int, own_rate: int | None) -> Any:
        lease = RateLease(
            _Clocked(self),
            connection_id="cm",
            campaign_id=campaign,
            worker=name,
            rate=rate,
            own_rate=own_rate,
            clock=lambda: self.now,
        )
        yield lease


class _Clocked(Reconnecting):
    """A connection for which it is as late as in the world: `clock_timestamp` is found in our schema first."""

    def __init__(self, world: World) -> None:
        super().__init__(world.dsn, application="tests")
        self._world = world

    async def get(self) -> Any:
        conn = await super().get()
        await conn.execute("set search_path = fake, pg_catalog, public")
        await conn.execute("select set_config('fake.now', %s, false)", (str(self._world.now),))
        return conn


@pytest.fixture
def world(migrated_database: str) -> World:
    with psycopg.connect(migrated_database) as conn:
        conn.execute("create schema fake")
        conn.execute(
            "create function fake.clock_timestamp() returns timestamptz language sql volatile as "
            "$$ select to_timestamp(current_setting('fake.now')::float8) $$"
        )
    return World(migrated_database, random.Random(0))


class _Sender:
    """A worker in the world. It sends whenever it may, and may be late, frozen, cut off, dead."""

    def __init__(self, world: World, lease: RateLease, lateness: float) -> None:
        self.world, self.lease, self.lateness = world, lease, lateness
        self.renews_at = world.now
        self.cut_off_until = 0.0
        self.frozen_until = 0.0
        self.sent: Departures = []
        self._under_way: list[tuple[float, int]] = []
        self.has_left = False

    async def leave(self) -> None:
        """End in an orderly way: what was admitted has left."""
        self.world.now = max([self.world.now, *(at for at, _ in self._under_way)])
        for leaves_at, messages in self._under_way:
            self.lease.left(messages, messages, leaves_at)
        await self.lease._leave()
        await self.lease._connection.drop()
        self.has_left = True

    async def step(self) -> None:
        now = self.world.now
        if now < self.frozen_until:
            return
        for leaves_at, messages in [each for each in self._under_way if each[0] <= now]:
            self._under_way.remove((leaves_at, messages))
            self.lease.left(messages, messages, leaves_at)
        if now >= self.renews_at and now >= self.cut_off_until:
            await self.lease._renew()
            self.renews_at = now + self.lease._renewal
        window, size = self.lease.window, self.lease.request_size(100)
        while window.turn(size, self.lease._now()) <= 0:
            if window.admit(size, self.lease._now()) > 0:
                window.unused(size, now)
                return
            leaves_at = now + self.world.chance.uniform(0, self.lateness)
            self._under_way.append((leaves_at, size))
            self.sent.append((leaves_at, size))
            self.world.departures.append((leaves_at, size))


class _Company:
    """Workers that come and go. What happens next is chosen by chance."""

    def __init__(self, world: World, rate: int) -> None:
        self.world, self.rate = world, rate
        self.own_rates = {1: None, 2: None, 3: max(1, rate // 5)}
        self.senders: dict[str, _Sender] = {}
        self._numbers = itertools.count(1)

    async def join(self) -> None:
        if len(self.senders) == 6:
            return
        name, campaign = f"w{next(self._numbers)}", self.world.chance.choice(list(self.own_rates))
        async with self.world.worker(name, self.rate, campaign, self.own_rates[campaign]) as lease:
            terms = {"connection_id": "cm", "messages_per_second": self.rate}
            await (await lease._connection.get()).execute(SQL.register.sql, terms)
            self.senders[name] = _Sender(self.world, lease, self.world.chance.choice([0.0, 0.004, 0.09]))

    async def leave(self) -> None:
        if len(self.senders) > 1:
            await self._any(take=True).leave()

    async def die(self) -> None:
        if len(self.senders) > 1:
            await self._any(take=True).lease._connection.drop()

    async def freeze(self) -> None:
        self._any().frozen_until = self.world.now + self.world.chance.choice([0.3, 2.0, 9.0])

    async def cut_off(self) -> None:
        self._any().cut_off_until = self.world.now + self.world.chance.choice([1.0, 4.0, 9.0])

    def _any(self, *, take: bool = False) -> _Sender:
        name = self.world.chance.choice(list(self.senders))
        return self.senders.pop(name) if take else self.senders[name]


@pytest.mark.parametrize("seed", range(6))
async def test_joining_leaving_dying_freezing_and_being_cut_off_never_break_the_cap(
    world: World, seed: int
) -> None:
    """Forty virtual seconds with up to six workers of three campaigns, one of which wants less than its part."""
    world.chance = chance = random.Random(seed)
    rate = [80, 400, 1000, 400, 7, 1000][seed]
    company = _Company(world, rate)
    await company.join()
    end, happens_at = world.now + 40, world.now + 0.3
    while world.now < end:
        world.now += 0.01
        if world.now >= happens_at:
            happens_at = world.now + chance.choice([0.05, 0.7, 2.5])
            event = chance.choice(
                [company.join] * 2 + [company.leave, company.die, company.freeze, company.cut_off]
            )
            await event()
        for sender in chance.sample(list(company.senders.values()), len(company.senders)):
            await sender.step()
    for sender in company.senders.values():
        await sender.lease._connection.drop()
    assert len(world.departures) > 50
    assert most_in_a_second(world.departures) <= rate


async def test_a_share_moves_without_a_pause_and_everything_is_used(world: World) -> None:
    """A second campaign joins, asks for less than half, and leaves: the sum stays at the cap all along."""
    rate = 400
    async with world.worker("a", rate, 1, None) as one, world.worker("b", rate, 2, 100) as two:
        terms = {"connection_id": "cm", "messages_per_second": rate}
        await (await one._connection.get()).execute(SQL.register.sql, terms)
        first, second = _Sender(world, one, 0.002), _Sender(world, two, 0.002)
        while world.now < 1012.0:
            world.now += 0.005
            await first.step()
            if 1004.0 < world.now < 1008.0:
                await second.step()
            elif world.now >= 1008.0 and not second.has_left:
                await second.leave()
        await one._connection.drop()
    assert most_in_a_second(world.departures) <= rate
    seconds = [
        sum(n for at, n in world.departures if second <= at < second + 1) for second in range(1001, 1012)
    ]
    assert min(seconds) >= 0.93 * rate, seconds
    assert sum(seconds) >= 0.98 * rate * len(seconds), seconds
    assert sum(n for at, n in second.sent if 1006 <= at < 1007) == pytest.approx(99, abs=4)


async def test_a_cap_that_is_changed_while_workers_send_is_obeyed_within_two_seconds(world: World) -> None:
    """The integration's rate falls to a quarter and comes back: obeyed when it falls, used when it comes back."""
    async with world.worker("a", 400, 1, None) as one, world.worker("b", 400, 2, None) as two:
        conn = await one._connection.get()

        async def set_rate(rate: int) -> None:
            await conn.execute(SQL.register.sql, {"connection_id": "cm", "messages_per_second": rate})

        await set_rate(400)
        workers = [_Sender(world, one, 0.002), _Sender(world, two, 0.002)]
        changes = {1003.0: 100, 1008.0: 400}
        while world.now < 1013.0:
            world.now += 0.005
            for at in [at for at in changes if at <= world.now]:
                await set_rate(changes.pop(at))
            for worker in workers:
                await worker.step()
        await one._connection.drop()
        await two._connection.drop()
    assert most_in_a_second(world.departures) <= 400

    def between(begin: float, end: float) -> Departures:
        return [each for each in world.departures if begin <= each[0] < end]

    assert most_in_a_second(between(1005.0, 1008.0)) <= 100
    assert sum(n for _, n in between(1005.0, 1008.0)) >= 0.95 * 100 * 3
    assert sum(n for _, n in between(1010.0, 1013.0)) >= 0.98 * 400 * 3
