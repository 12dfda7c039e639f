"""Statuses and replies as they leave for the customer's webhooks, each at its time, again until they are
taken.

One heap of (due time, message, step) for everything still to come, at most one entry a message, and a fixed
number of posts under way. Statuses follow cm_com.md 4.1, replies 5.2. What a webhook has taken is noted in
the journal, so that a restarted simulator pushes what is left: at least once, as CM.com does.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Set
from typing import NamedTuple

import aiohttp

from include.simulator.gateway import clock
from include.simulator.gateway.fates import Event, reply_after, timeline, visit_after
from include.simulator.gateway.faults import Fault, Faults
from include.simulator.gateway.gateway import Gateway
from include.simulator.gateway.journal import InboundRow, MessageRow
from include.simulator.gateway.payloads import inbound_body, status_body
from include.simulator.gateway.people import People
from include.simulator.gateway.settings import Settings

_NOTHING: Set[int] = frozenset()
_SHORTEST_RETRY = 0.2  # real seconds, however fast simulated time runs
_REPLY = -1  # an event that is no status: the person answers
VISIT = -2  # … or opens the address of the message's URL button
_PHONE = "Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile"
_SCANNER = "WhatsApp/2.25.20 A"


class _Post(NamedTuple):
    url: str
    body: bytes
    first: float  # when it was tried first
    retry: float
    give_up: float
    taken: Callable[[], None]


class _Next(NamedTuple):
    """The step of a message's plan that is due.

    `plan` is kept only where faults changed it; else it follows from the message and whether its statuses are
    pushed.
    """

    message: int
    step: int
    pushes: bool
    plan: tuple[Event, ...] | None


class Courier:
    """Pushes what the gateway's messages bring about. `watch` takes new rows, `run` works until cancelled."""

    def __init__(self, *, gateway: Gateway, people: People, faults: Faults) -> None:
        self._gateway = gateway
        self._people = people
        self._faults = faults
        self._settings: Settings = gateway.settings
        self._due: list[tuple[float, int, _Next | _Post]] = []
        self._order = itertools.count()
        self._fresh: list[MessageRow] = []
        self._wake = asyncio.Event()
        self._free = asyncio.Semaphore(self._settings.webhook_concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        self._epoch = 0  # counts resets: what is under way across one must not touch the new messages' ids
        self._session: aiohttp.ClientSession
        self.pushed = 0
        self.refused = 0

    def watch(self, rows: list[MessageRow]) -> None:
        """Take note of the accepted ones among new messages; their fates are worked out later, off the hot
        path.
        """
        self._fresh.extend(rows)
        self._wake.set()

    def resume(self) -> None:
        """After a restart: plan whatever no webhook has taken yet."""
        pushes = self._gateway.journal.pushes()
        for message in self._gateway.journal.messages():
            if message.code == 0:
                taken = {code for code, _ in pushes.get(message.id, ())}
                taken |= {_REPLY} if self._people.has_answered(message.id) else set()
                self._plan(message, skip=taken)
        for inbound in self._gateway.journal.inbound():
            if not inbound.pushed:
                self.push_inbound(inbound)

    def push_inbound(self, inbound: InboundRow) -> None:
        """Push one message of a person, at once."""
        account = self._gateway.accounts.by_id(inbound.account)
        url = account.mo_url or account.webhook_url if account else None
        if url is None:
            return
        settings = self._settings
        post = _Post(
            url,
            inbound_body(inbound, settings),
            clock.now(),
            settings.mo_retry / settings.speed,
            settings.mo_give_up / settings.speed,
            lambda: self._gateway.journal.inbound_pushed(inbound.id),
        )
        self._schedule(clock.now(), post)

    def clear(self) -> None:
        """Drop everything still to be pushed."""
        self._epoch += 1
        self._due.clear()
        self._fresh.clear()

    @property
    def waiting(self) -> int:
        """How many pushes are still to come or under way (one a message, however many statuses)."""
        return len(self._due) + len(self._fresh) + len(self._tasks)

    async def run(self) -> None:
        """Push until cancelled."""
        timeout = aiohttp.ClientTimeout(total=self._settings.webhook_timeout)
        connector = aiohttp.TCPConnector(limit=self._settings.webhook_concurrency)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            self._session = session
            try:
                while True:
                    await self._turn()
            finally:
                for task in self._tasks:
                    task.cancel()

    async def _turn(self) -> None:
        for _ in range(min(len(self._fresh), 200)):
            message = self._fresh.pop()
            if message.code == 0:
                self._plan(message, skip=_NOTHING)
        now = clock.now()
        if self._due and self._due[0][0] <= now:
            await self._free.acquire()
            if not self._due:
                self._free.release()
                return
            task = asyncio.create_task(self._handle(heapq.heappop(self._due)[2]))
            self._tasks.add(task)
            task.add_done_callback(self._done)
        elif self._fresh:
            await asyncio.sleep(0)
        else:
            self._wake.clear()
            delay = self._due[0][0] - now if self._due else 60.0
            try:
                await asyncio.wait_for(self._wake.wait(), min(delay, 60.0))
            except TimeoutError:
                return

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._free.release()

    def _schedule(self, at: float, item: _Next | _Post) -> None:
        heapq.heappush(self._due, (at, next(self._order), item))
        if self._due[0][2] is item:
            self._wake.set()

    def _plan(self, message: MessageRow, *, skip: Set[int]) -> None:
        account = self._gateway.accounts.by_id(message.account)
        pushes = account is not None and account.webhook_url is not None
        fault = self._faults.statuses()
        plan = self._events(message, pushes=pushes)
        kept: tuple[Event, ...] | None = None
        if fault is not None or skip:
            plan = tuple(event for event in plan if event.code not in skip)
            plan = kept = _spoilt(plan, fault, message, self._settings) if fault is not None else plan
        if plan:
            self._schedule(message.arrived + plan[0].after, _Next(message.id, 0, pushes, kept))

    def _events(self, message: MessageRow, *, pushes: bool) -> tuple[Event, ...]:
        person = self._gateway.population.person(message.recipient)
        events = timeline(message, person, self._settings) if pushes else ()
        after = reply_after(message, person, self._settings)
        answer = () if after is None else (Event(after, _REPLY, ""),)
        account = self._gateway.accounts.by_id(message.account)
        if account is None or account.link_url is None:
            return (*events, *answer)
        visit = self._gateway.population.visit(message.recipient)
        after = visit_after(message, visit, person, self._settings)
        opened = () if after is None else (Event(after, VISIT, ""),)
        return tuple(sorted((*events, *answer, *opened), key=lambda event: event.after))

    async def _handle(self, item: _Next | _Post) -> None:
        if isinstance(item, _Post):
            await self._post(item)
            return
        epoch = self._epoch
        try:
            message = self._gateway.journal.message(item.message)
        except LookupError:  # forgotten by a reset
            return
        plan = item.plan if item.plan is not None else self._events(message, pushes=item.pushes)
        event = plan[item.step]
        account = self._gateway.accounts.by_id(message.account)
        if event.code == _REPLY:
            inbound = self._people.answer(message)
            if inbound is not None:
                self.push_inbound(inbound)
        elif event.code == VISIT:
            await self._visit(message)
        elif account is not None and account.webhook_url is not None:
            await self._post(self._status_post(account.webhook_url, message, event))
        if item.step + 1 < len(plan) and epoch == self._epoch:
            due = message.arrived + plan[item.step + 1].after
            self._schedule(due, item._replace(step=item.step + 1))

    def _status_post(self, url: str, message: MessageRow, event: Event) -> _Post:
        settings = self._settings
        return _Post(
            url,
            status_body(message, event, settings),
            clock.now(),
            settings.webhook_retry / settings.speed,
            settings.webhook_give_up / settings.speed,
            lambda: self._gateway.journal.add("push", (message.id, event.code, clock.now())),
        )

    async def _visit(self, message: MessageRow) -> None:
        """A machine looks at the address, then the person opens it; what was opened is noted as pushed."""
        url, visit = self._people.link(message), self._gateway.population.visit(message.recipient)
        if url is None or visit is None:
            return
        epoch, opened = self._epoch, 0
        fetches = [("HEAD", _SCANNER), ("GET", _SCANNER)] * visit.scanned + [("GET", _PHONE)] * visit.taps
        for method, agent in fetches:
            headers = {"User-Agent": agent}
            try:
                async with self._session.request(
                    method, url, headers=headers, allow_redirects=False
                ) as answer:
                    opened += answer.status in (301, 302, 303, 307, 308) and agent == _PHONE
            except (aiohttp.ClientError, TimeoutError, OSError):
                continue
        if opened and epoch == self._epoch:
            self._gateway.journal.add("push", (message.id, VISIT, clock.now()))

    async def _post(self, post: _Post) -> None:
        epoch = self._epoch
        headers = {"Content-Type": "application/json; charset=utf-8"}
        try:
            async with self._session.post(post.url, data=post.body, headers=headers) as answer:
                taken = 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError):
            taken = False
        self.pushed += taken
        self.refused += not taken
        if epoch != self._epoch:
            return
        if taken:
            post.taken()
            return
        again = clock.now() + max(post.retry, _SHORTEST_RETRY)
        if again - post.first < max(post.give_up, 5 * _SHORTEST_RETRY):
            self._schedule(again, post)


def _spoilt(
    plan: tuple[Event, ...], fault: Fault, message: MessageRow, settings: Settings
) -> tuple[Event, ...]:
    draw = random.Random(f"{settings.seed}/{message.reference}/{message.recipient}")  # noqa: S311  repeatable on purpose
    replies = [event for event in plan if event.code in (_REPLY, VISIT)]
    statuses = [
        event for event in plan if event.code not in (_REPLY, VISIT) and draw.random() >= fault.missing_share
    ]
    if draw.random() < fault.disorder_share:
        times = [event.after for event in statuses]
        statuses = [
            event._replace(after=after) for event, after in zip(reversed(statuses), times, strict=True)
        ]
    spoilt = list(replies)
    for event in statuses:
        late = fault.late / settings.speed if draw.random() < fault.late_share else 0.0
        copies = 1 + (fault.duplicate if draw.random() < fault.duplicate_share else 0)
        spoilt += [event._replace(after=event.after + late)] * copies
    return tuple(sorted(spoilt, key=lambda event: event.after))
