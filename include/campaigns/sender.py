"""The sender: an event loop of lanes. Each lane, over and over: a slot of the rate, a claim, the request, its
outcome.

What is known after a failure decides (docs/sending.md): never left = planned again; refused = rejected with
the code; no answer = uncertain, settled from webhooks and the message log and never sent again by itself. A
killed process leaves at most one request per lane in doubt.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg

from include.campaigns.breaker import Breaker
from include.campaigns.errors import CampaignNotReady, GatewayUnreachable
from include.campaigns.messenger import Delivery, Messenger, Outgoing
from include.campaigns.pacing import RateLease
from include.campaigns.reference import grouping
from include.campaigns.states import SQL as STATES
from include.database import connect, connect_async, named_sql, require_current
from include.entities import Entity, Template

log = logging.getLogger(__name__)
SQL = named_sql(__file__, "ledger.sql")


@dataclass(slots=True)
class SendReport:
    """What one worker did. `ended`: done (nothing planned is left), waiting (until `next_due`), or the
    campaign's state.
    """

    ended: str = "done"
    next_due: datetime | None = None
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class SendSettings:
    """How one worker sends. `patience`: seconds without any success before the task gives up (and is
    retried).
    """

    worker: str
    messages_per_second: int
    lanes: int = 8
    patience: float = 60.0
    pause_between_looks: float = 0.2


def send(
    entity: Entity,
    campaign_id: int,
    messenger: Callable[[], Any],
    settings: SendSettings,
    *,
    dsn: str,
) -> SendReport:
    """Send what is planned until nothing is due. `messenger()` gives an async context manager of a Messenger.

    Called again (retry, clear, twice at once) it continues and repeats nothing. Raises GatewayUnreachable
    when nothing could be sent for `patience` seconds, CampaignNotReady when the campaign was never approved.
    """
    with connect(dsn, application="whatsapp send") as conn:
        require_current(conn)
        STATES.start(conn, campaign_id=campaign_id, now=datetime.now(UTC))
        campaign = STATES.campaign(conn, campaign_id=campaign_id)
        if campaign is None or campaign["approved_at"] is None:
            raise CampaignNotReady(f"Campaign {campaign_id} was not approved; nothing was sent.")
        # What an earlier process of this worker left in flight. If it is still alive (a zombie), its own
        # answers overrule this; it is never claimed again either way.
        left_behind = SQL.call_uncertain(
            conn, month=campaign["month"], campaign_id=campaign_id, worker_pattern=_pattern(settings.worker)
        )
    if left_behind:
        log.warning("campaign=%s uncertain=%s left behind by an earlier attempt", campaign_id, left_behind)
    template = entity.template(campaign["parameters"]["template"])
    work = _Worker(campaign, template, messenger, settings, dsn)
    asyncio.run(work.run())
    log.info(
        "campaign=%s worker=%s ended=%s %s",
        campaign_id,
        settings.worker,
        work.report.ended,
        dict(work.report.counts),
    )
    return work.report


class _Worker:
    def __init__(
        self,
        campaign: dict[str, Any],
        template: Template,
        messenger: Callable[[], Any],
        settings: SendSettings,
        dsn: str,
    ) -> None:
        self._campaign = campaign
        self._template = template
        self._open_messenger = messenger
        self._settings = settings
        self._dsn = dsn
        self._keys = {"month": campaign["month"], "campaign_id": campaign["id"]}
        # Unique to this process: a zombie of the same task must not share the lease or the claims of its
        # successor.
        self._process = f"{settings.worker}/{uuid.uuid4().hex[:12]}"
        self._breaker = Breaker()
        self._last_success = time.monotonic()
        self.report = SendReport()

    async def run(self) -> None:
        async with AsyncExitStack() as stack:
            messenger: Messenger = await stack.enter_async_context(self._open_messenger())
            renewing = await stack.enter_async_context(
                await connect_async(self._dsn, application="whatsapp lease")
            )
            await renewing.set_autocommit(True)
            lease = await stack.enter_async_context(
                RateLease(
                    renewing,
                    connection_id=self._campaign["connection_id"],
                    worker=f"{self._campaign['id']}/{self._process}",
                    rate=self._settings.messages_per_second,
                )
            )
            lanes = [
                asyncio.create_task(self._lane(number, messenger, lease))
                for number in range(self._settings.lanes)
            ]
            try:
                await asyncio.gather(*lanes)
            finally:
                # One lane's error ends the worker, but every request that left is waited for and written
                # down.
                await asyncio.gather(*lanes, return_exceptions=True)

    async def _lane(self, number: int, messenger: Messenger, lease: RateLease) -> None:
        name = f"{self._process}/{number}"
        database = _Database(self._dsn, {**self._keys, "lane": name}, self._settings.patience)
        delay = 0.5
        try:
            while not self._breaker.tripped:
                # A request carries about one percent of a second's messages, so that the pace is even and
                # exact.
                size = min(messenger.batch_size, max(1, lease.window.share // 100))
                await lease.admit(size)
                rows = await database.claim(size)
                due = [row for row in rows if row["reason"] is None]
                self.report.counts["excluded"] += len(rows) - len(due)
                if not due:
                    lease.left(size, 0, 0.0)
                    if not rows and await self._nothing_to_do(database):
                        return
                    continue
                delivery = await self._post(messenger, lease, size, due, database)
                if delivery is None or delivery.outcome != "not_sent":
                    delay = 0.5
                    continue
                if time.monotonic() - self._last_success > self._settings.patience:
                    raise GatewayUnreachable(
                        f"Nothing could be sent for {self._settings.patience:.0f} s ({delivery.cause}). Nothing is "
                        "in doubt: the rows are planned again, and a retry goes on with them."
                    )
                await asyncio.sleep(max(delivery.retry_after or 0.0, delay))
                delay = min(delay * 2, 15.0)
        finally:
            await database.close()

    async def _post(
        self,
        messenger: Messenger,
        lease: RateLease,
        admitted: int,
        rows: list[dict[str, Any]],
        database: _Database,
    ) -> Delivery | None:
        encoded: list[bytes] = []
        sent: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        for row in rows:
            try:
                encoded.append(messenger.encode(self._outgoing(row)))
                sent.append(row)
            except ValueError:
                bad.append(row)
        if bad:
            await database.record(bad, ["rejected"] * len(bad), [305] * len(bad))
            self.report.counts["rejected"] += len(bad)
        if not sent:
            lease.left(admitted, 0, 0.0)
            return None
        try:
            delivery: Delivery = await messenger.send(encoded)
        except BaseException:
            lease.left(admitted, len(sent), time.monotonic())
            raise
        lease.left(
            admitted,
            len(sent) if delivery.outcome != "not_sent" or delivery.left_at else 0,
            delivery.left_at or time.monotonic(),
        )
        states, codes = read_outcomes(delivery, len(sent))
        await database.record(sent, states, codes)
        self.report.counts.update(states)
        if "accepted" in states:
            self._last_success = time.monotonic()
        reason = self._breaker.note(states, fatal_code=delivery.code if delivery.fatal else None)
        if reason:
            log.warning("campaign=%s paused: %s", self._campaign["id"], reason)
            await database.pause(reason)
            self.report.ended = "paused"
        return delivery

    def _outgoing(self, row: dict[str, Any]) -> Outgoing:
        text = self._template.languages[row["language"]]
        buttons = enumerate(text.buttons)
        return Outgoing(
            phone=row["phone"],
            reference=row["reference"],
            template=self._template.name,
            namespace=self._template.namespace,
            language=row["language"],
            variables=tuple(row["variables"]),
            payloads=tuple((i, b.payload) for i, b in buttons if b.type == "quick_reply" and b.payload),
            fallback_text=self._template.fallback_text,
            groupings=(grouping(self._campaign["id"]), self._campaign["entity"], "airflow-whatsapp"),
        )

    async def _nothing_to_do(self, database: _Database) -> bool:
        """Whether this lane is finished; if not, it has waited a little for rows that others hold."""
        outlook = await database.outlook()
        if outlook["state"] != "sending":
            self.report.ended = outlook["state"]
            return True
        if not outlook["due"]:
            self.report.ended = "waiting" if outlook["next_due"] else "done"
            self.report.next_due = outlook["next_due"]
            return True
        await asyncio.sleep(self._settings.pause_between_looks)
        return False


class _Database:
    """One lane's connection. It outlives a restart of the server: nothing is claimed meanwhile, outcomes are
    kept.
    """

    def __init__(self, dsn: str, keys: dict[str, Any], patience: float) -> None:
        self._dsn = dsn
        self._keys = keys
        self._patience = patience
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def claim(self, messages: int) -> list[dict[str, Any]]:
        # Not repeated blindly: a claim whose commit was not confirmed is taken back by `unclaim` on
        # reconnecting.
        cursor = await self._run(SQL.claim.sql, {"messages": messages})
        return await cursor.fetchall()

    async def record(self, rows: list[dict[str, Any]], states: list[str], codes: list[int | None]) -> None:
        await self._run(
            SQL.record_outcomes.sql,
            {
                "people": [row["subscription_id"] for row in rows],
                "attempts": [row["attempt"] for row in rows],
                "states": states,
                "codes": codes,
                "now": datetime.now(UTC),
            },
            keep_claims=True,
        )

    async def outlook(self) -> dict[str, Any]:
        row: dict[str, Any] | None = await (await self._run(SQL.outlook.sql, {})).fetchone()
        if row is None:
            raise CampaignNotReady(f"Campaign {self._keys['campaign_id']} has disappeared.")
        return row

    async def pause(self, reason: str) -> None:
        parameters = {
            "state": "paused",
            "reason": reason,
            "from_states": ["sending"],
            "now": datetime.now(UTC),
        }
        await self._run(STATES.change_state.sql, parameters)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _run(self, statement: str, parameters: dict[str, Any], *, keep_claims: bool = False) -> Any:
        give_up = time.monotonic() + self._patience
        while True:
            try:
                if self._connection is None:
                    connection = await connect_async(self._dsn, application="whatsapp send")
                    await connection.set_autocommit(True)
                    if not keep_claims:
                        await connection.execute(SQL.unclaim.sql, self._keys)
                    self._connection = connection
                return await self._connection.execute(statement, {**self._keys, **parameters})
            except (psycopg.OperationalError, psycopg.InterfaceError, OSError, ConnectionError):
                if self._connection is not None:
                    await self._connection.close()
                    self._connection = None
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(0.5)


def read_outcomes(delivery: Delivery, messages: int) -> tuple[list[str], list[int | None]]:
    """A request's fate as ledger states and codes, one per message. Pure."""
    if delivery.outcome == "not_sent":
        return ["planned"] * messages, [None] * messages
    if delivery.outcome == "refused":
        if delivery.fatal:
            # Token or balance: certainly nothing was taken, and the people are not to blame: they wait for
            # the remedy.
            return ["planned"] * messages, [None] * messages
        return ["rejected"] * messages, [delivery.code] * messages
    if delivery.outcome != "answered" or len(delivery.results) != messages:
        return ["uncertain"] * messages, [None] * messages
    names = {True: "accepted", False: "rejected", None: "uncertain"}
    return [names[result.accepted] for result in delivery.results], [
        result.code for result in delivery.results
    ]


def _pattern(worker: str) -> str:
    """LIKE pattern of every claim by any process of a worker."""
    return worker.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "/%"
