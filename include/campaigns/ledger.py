"""One worker's connection to the ledger, shared by its lanes.

What the lanes want at one moment goes to PostgreSQL together: the outcomes they bring and the rows they ask for, in one
transaction and one round trip. So a commit is shared by as many requests as came while the last one ran. It outlives a
restart of the server: nothing is claimed meanwhile, outcomes are kept until they are written.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.errors import DeadlockDetected, SerializationFailure

from include.campaigns.errors import CampaignNotReady
from include.campaigns.pacing import SQL as PACING
from include.campaigns.reconnecting import AWAY, Reconnecting
from include.campaigns.states import LEDGER as SQL
from include.campaigns.states import SQL as STATES

Row = dict[str, Any]
# PostgreSQL itself undid the whole transaction (a status came for the same rows): it can be repeated at once.
UNDONE = (DeadlockDetected, SerializationFailure)


@dataclass(frozen=True, slots=True)
class DailyLimit:
    """How many people a Meta portfolio may write to in 24 hours, over all campaigns and numbers; None: no limit."""

    people: int | None = None
    portfolio: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """Rows to send now.

    `found`: whether this claim, or one made together with it, met any row, to be sent or turned away. `again_at`: when
    the portfolio's limit of 24 hours allows more, if that is why there are no rows.
    """

    rows: list[Row]
    found: bool
    again_at: datetime | None = None


@dataclass(slots=True)
class _Wishes:
    """What lanes want of the database, and where each waits for it."""

    outcomes: list[tuple[Row, str, int | None]] = field(default_factory=list)
    recorded: list[asyncio.Future[None]] = field(default_factory=list)
    claims: list[tuple[int, asyncio.Future[Claim]]] = field(default_factory=list)
    looks: list[asyncio.Future[Row]] = field(default_factory=list)
    pauses: list[tuple[str, asyncio.Future[None]]] = field(default_factory=list)
    # Of the people that the claims are about, how many the limit per 24 hours allows, once asked.
    allowed: tuple[int, datetime | None] | None = None

    def waiting(self) -> list[asyncio.Future[Any]]:
        return [*self.recorded, *(each for _, each in self.claims + self.pauses), *self.looks]

    def __bool__(self) -> bool:
        return bool(self.outcomes or self.claims or self.looks or self.pauses)


class Ledger:
    """Claims and outcomes of one worker. Use as `async with`; on leaving, what was recorded has been written.

    `keys`: month and campaign_id. `process`: the name under which rows are claimed; no other process ever has it. Every
    call waits up to `patience` seconds for a database that is away, then raises what psycopg or `connect_async` says.
    """

    def __init__(
        self,
        dsn: str,
        keys: dict[str, Any],
        *,
        process: str,
        conditions: dict[str, Any],
        daily: DailyLimit,
        patience: float,
    ) -> None:
        self._connection = Reconnecting(dsn, application="whatsapp send")
        self._keys = keys
        self._process = process
        self._conditions = conditions
        self._daily = daily
        self._patience = patience
        self._numbers = itertools.count(1)
        self._wishes = _Wishes()
        self._wanted = asyncio.Event()
        self._closing = False
        self._doubtful: str | None = None
        self._task: asyncio.Task[None] | None = None
        self.turned_away: Counter[str] = Counter()

    async def __aenter__(self) -> Ledger:
        self._task = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._wanted.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        await self._connection.drop()

    async def claim(self, messages: int) -> Claim:
        """Rows that may be sent now: committed as *sending* under the name of this process."""
        future: asyncio.Future[Claim] = self._future()
        self._wishes.claims.append((messages, future))
        return await future

    async def record(self, rows: Sequence[Row], states: Sequence[str], codes: Sequence[int | None]) -> None:
        """Write down what became of claimed rows; returns once it is committed."""
        future: asyncio.Future[None] = self._future()
        self._wishes.outcomes += zip(rows, states, codes, strict=True)
        self._wishes.recorded.append(future)
        await future

    async def outlook(self) -> Row:
        """The campaign's state and what is left. Raises CampaignNotReady when the campaign is gone."""
        future: asyncio.Future[Row] = self._future()
        self._wishes.looks.append(future)
        return await future

    async def pause(self, reason: str) -> None:
        """Stop every worker of the campaign at its next claim."""
        future: asyncio.Future[None] = self._future()
        self._wishes.pauses.append((reason, future))
        await future

    def _future(self) -> asyncio.Future[Any]:
        if self._task is None or self._task.done():
            raise RuntimeError("The ledger is not open, or its connection has failed: see the first error.")
        self._wanted.set()
        return asyncio.get_running_loop().create_future()

    async def _serve(self) -> None:
        wishes = _Wishes()
        try:
            while not self._closing or self._wishes:
                await self._wanted.wait()
                self._wanted.clear()
                await asyncio.sleep(0)  # whoever became ready in the same turn of the loop joins
                wishes, self._wishes = self._wishes, _Wishes()
                await self._fulfil(wishes)
        except BaseException as error:
            for future in wishes.waiting() + self._wishes.waiting():
                if not future.done():
                    future.set_exception(error)
            raise

    async def _fulfil(self, wishes: _Wishes) -> None:
        give_up = time.monotonic() + self._patience
        while True:
            try:
                await self._exchange(await self._connection.get(), wishes)
                return
            except UNDONE:
                if time.monotonic() > give_up:
                    raise
            except AWAY:
                await self._connection.drop()
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(0.5)

    async def _exchange(self, conn: psycopg.AsyncConnection[Any], wishes: _Wishes) -> None:
        """Fulfil wishes; called again after an error it goes on with those that are left."""
        if self._doubtful is not None:
            # A claim whose commit was not confirmed: nobody was told of its rows, so none was posted.
            await conn.execute(SQL.unclaim.sql, {**self._keys, "lane": self._doubtful})
            self._doubtful = None
        if wishes.claims and wishes.allowed is None:
            wishes.allowed = await self._take(conn, sum(messages for messages, _ in wishes.claims))
        allowed, again_at = wishes.allowed or (0, None)
        if wishes.outcomes or wishes.pauses or wishes.claims:
            rows = await self._write_and_claim(conn, wishes, allowed)
            self._deal(wishes, rows, again_at)
            unused = allowed - sum(row["reason"] is None for row in rows)
            unused += sum(state == "planned" for _, state, _ in wishes.outcomes)
            wishes.outcomes, wishes.claims, wishes.allowed = [], [], None
            await self._give_back(conn, unused)
            if self.turned_away.pop("over_budget", 0):
                await self._refuse_over_budget(conn)
        if wishes.looks:
            await conn.execute(SQL.expire.sql, self._keys)  # the campaign's time may have come meanwhile
            outlook = await (await conn.execute(SQL.outlook.sql, self._keys)).fetchone()
            if outlook is None:
                raise CampaignNotReady(f"Campaign {self._keys['campaign_id']} has disappeared.")
            _answer(wishes.looks, outlook)

    async def _write_and_claim(
        self, conn: psycopg.AsyncConnection[Any], wishes: _Wishes, messages: int
    ) -> list[Row]:
        """One transaction, sent as one packet; what it returns is committed."""
        claimed: psycopg.AsyncCursor[Any] | None = None
        async with conn.pipeline(), conn.transaction():
            if wishes.outcomes:
                await conn.execute(SQL.record_outcomes.sql, {**self._keys, **_columns(wishes.outcomes)})
            for reason, _ in wishes.pauses:
                await conn.execute(STATES.change_state.sql, {**self._keys, **_paused(reason)})
            if messages:
                if self._conditions["category"] == "marketing":
                    await conn.execute(SQL.take_turns.sql, self._keys)
                self._doubtful = f"{self._process}/{next(self._numbers)}"
                terms = {**self._conditions, "messages": messages, "lane": self._doubtful}
                claimed = await conn.execute(SQL.claim.sql, {**self._keys, **terms})
        self._doubtful = None
        _answer(wishes.recorded, None)
        _answer([future for _, future in wishes.pauses], None)
        wishes.pauses = []
        return await claimed.fetchall() if claimed else []

    def _deal(self, wishes: _Wishes, rows: list[Row], again_at: datetime | None) -> None:
        """Give every lane what it asked for, as far as there is enough."""
        due = [row for row in rows if row["reason"] is None]
        self.turned_away.update(row["reason"] for row in rows if row["reason"])
        for messages, future in wishes.claims:
            part, due = due[:messages], due[messages:]
            if future.done():  # the lane was cancelled meanwhile: nobody posts its rows
                self._wishes.outcomes += [(row, "planned", None) for row in part]
            else:
                future.set_result(Claim(part, found=bool(rows), again_at=again_at))

    async def _take(self, conn: psycopg.AsyncConnection[Any], people: int) -> tuple[int, datetime | None]:
        """How many of `people` the portfolio's limit of the last 24 hours still allows; if none, when it will."""
        if self._daily.people is None:
            return people, None
        terms = {"portfolio": self._daily.portfolio, "people": people, "daily_limit": self._daily.people}
        async with conn.transaction():
            await conn.execute(PACING.lock_portfolio.sql, terms)
            row: Row = await (await conn.execute(PACING.take_people.sql, terms)).fetchone()  # type: ignore[assignment]
        return row["people"], None if row["people"] else row["again_at"]

    async def _refuse_over_budget(self, conn: psycopg.AsyncConnection[Any]) -> None:
        """The budget is used up: exclude whoever costs more than is left of it, counted anew."""
        terms = {name: self._conditions[name] for name in ("budget", "category")}
        async with conn.transaction():
            await conn.execute(SQL.lock_budget.sql, self._keys)
            refused = await conn.execute(SQL.refuse_over_budget.sql, {**self._keys, **terms})
        if not refused.rowcount:
            await asyncio.sleep(0.02)  # what is on its way comes back first

    async def _give_back(self, conn: psycopg.AsyncConnection[Any], people: int) -> None:
        """Of those taken, `people` were not written to. Not repeated after an error: the limit errs towards fewer."""
        if self._daily.people is not None and people > 0:
            terms = {"portfolio": self._daily.portfolio, "people": people}
            await conn.execute(PACING.give_back_people.sql, terms)


def _answer(futures: list[asyncio.Future[Any]], result: Any) -> None:
    for future in futures:
        if not future.done():
            future.set_result(result)
    futures.clear()


def _columns(outcomes: list[tuple[Row, str, int | None]]) -> dict[str, Any]:
    # Arrays as PostgreSQL writes them: psycopg would adapt a list value by value in Python.
    columns = {
        "people": ",".join([str(row["subscription_id"]) for row, _, _ in outcomes]),
        "attempts": ",".join([str(row["attempt"]) for row, _, _ in outcomes]),
        "states": ",".join([state for _, state, _ in outcomes]),
        "codes": ",".join(["null" if code is None else str(code) for _, _, code in outcomes]),
    }
    return {"now": datetime.now(UTC)} | {name: f"{{{values}}}" for name, values in columns.items()}


def _paused(reason: str) -> dict[str, Any]:
    return {"state": "paused", "reason": reason, "from_states": ["sending"], "now": datetime.now(UTC)}
