"""One lane's connection to the ledger. It outlives a restart of the server: nothing is claimed meanwhile, outcomes are
kept until they are written.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from include.campaigns.errors import CampaignNotReady
from include.campaigns.pacing import SQL as PACING
from include.campaigns.reconnecting import AWAY, Reconnecting
from include.campaigns.states import LEDGER
from include.campaigns.states import SQL as STATES

SQL = LEDGER


@dataclass(frozen=True, slots=True)
class DailyLimit:
    """How many people a Meta portfolio may write to in 24 hours, over all campaigns and numbers; None: no limit."""

    people: int | None = None
    portfolio: str = ""


class LaneLedger:
    """Claims and outcomes of one lane, each statement its own transaction.

    `keys`: month, campaign_id and the lane's name, which no other lane of any process has. Every call waits up to
    `patience` seconds for a database that is away, then raises what psycopg or `connect_async` says.
    """

    def __init__(self, dsn: str, keys: dict[str, Any], patience: float) -> None:
        self._connection = Reconnecting(dsn, application="whatsapp send")
        self._keys = keys
        self._patience = patience

    async def claim(self, messages: int, conditions: dict[str, Any]) -> list[dict[str, Any]]:
        """Rows that may be sent now (reason None), and rows that were turned away with their reason."""
        # Not repeated blindly: a claim whose commit was not confirmed is taken back by `unclaim` on reconnecting.
        cursor = await self._run(SQL.claim.sql, {"messages": messages, **conditions})
        return list(await cursor.fetchall())

    async def refuse_over_budget(self, conditions: dict[str, Any]) -> None:
        """The budget is used up: exclude whoever costs more than is left of it, counted anew."""
        parameters = {**self._keys, "budget": conditions["budget"], "category": conditions["category"]}
        await self._run(SQL.refuse_over_budget.sql, parameters, locking=SQL.lock_budget.sql)

    async def take(self, people: int, limit: DailyLimit) -> tuple[int, datetime | None]:
        """How many of `people` the portfolio's limit of the last 24 hours still allows; if none, when it will."""
        if limit.people is None:
            return people, None
        parameters = {"portfolio": limit.portfolio, "people": people, "daily_limit": limit.people}
        cursor = await self._run(PACING.take_people.sql, parameters, locking=PACING.lock_portfolio.sql)
        row = await cursor.fetchone()
        return row["people"], row["again_at"]

    async def give_back(self, people: int, limit: DailyLimit) -> None:
        """Of those taken, `people` were not written to."""
        if limit.people is not None and people > 0:
            await self._run(PACING.give_back_people.sql, {"portfolio": limit.portfolio, "people": people})

    async def record(self, rows: list[dict[str, Any]], states: list[str], codes: list[int | None]) -> None:
        """Write down what became of claimed rows."""
        outcomes = {
            "people": [row["subscription_id"] for row in rows],
            "attempts": [row["attempt"] for row in rows],
            "states": states,
            "codes": codes,
            "now": datetime.now(UTC),
        }
        await self._run(SQL.record_outcomes.sql, outcomes, keep_claims=True)

    async def outlook(self) -> dict[str, Any]:
        """The campaign's state and what is left. Raises CampaignNotReady when the campaign is gone."""
        row: dict[str, Any] | None = await (await self._run(SQL.outlook.sql, {})).fetchone()
        if row is None:
            raise CampaignNotReady(f"Campaign {self._keys['campaign_id']} has disappeared.")
        return row

    async def pause(self, reason: str) -> None:
        """Stop every worker of the campaign at its next claim."""
        now = datetime.now(UTC)
        await self._run(
            STATES.change_state.sql,
            {"state": "paused", "reason": reason, "from_states": ["sending"], "now": now},
        )

    async def close(self) -> None:
        """Give the connection back."""
        await self._connection.drop()

    async def _run(
        self,
        statement: str,
        parameters: dict[str, Any],
        *,
        keep_claims: bool = False,
        locking: str | None = None,
    ) -> Any:
        give_up = time.monotonic() + self._patience
        while True:
            try:
                is_new = not self._connection.is_open
                connection = await self._connection.get()
                if is_new and not keep_claims:
                    await connection.execute(SQL.unclaim.sql, self._keys)
                if locking is None:
                    return await connection.execute(statement, {**self._keys, **parameters})
                async with connection.transaction():
                    await connection.execute(locking, parameters)
                    return await connection.execute(statement, parameters)
            except AWAY:
                await self._connection.drop()
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(0.5)
