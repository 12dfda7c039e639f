"""The sender: an event loop of lanes. Each lane, over and over: a slot of the rate, a claim, the request, its outcome.

What is known after a failure decides (docs/sending.md): never left = planned again; refused = rejected with the code;
no answer = uncertain, settled from webhooks and the message log and never sent again by itself. A killed process leaves
at most one request per lane in doubt.
"""

from __future__ import annotations

import asyncio
import json
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

from include.campaigns import brakes
from include.campaigns.audience import BASE
from include.campaigns.brakes import GatewayBrake, Limits
from include.campaigns.errors import CampaignNotReady, GatewayUnreachable
from include.campaigns.ledger import DailyLimit, Ledger
from include.campaigns.messenger import Delivery, Messenger, Outgoing
from include.campaigns.pacing import RateLease
from include.campaigns.plan import wanted
from include.campaigns.reconnecting import AWAY, Reconnecting
from include.campaigns.reference import grouping
from include.campaigns.states import LEDGER as SQL
from include.campaigns.states import SQL as STATES
from include.database import connect, require_current
from include.entities import Entity, Template
from include.links import CampaignLinks, LinkTokens, campaign_links

log = logging.getLogger(__name__)
# The gateway's own code for "another field": what we found before sending (docs/sending.md).
UNFIT = 305
# A claimed row waits no longer than this for the rate, and is then planned again: so consent and a pause, which were
# read in the claim, are never much older than the request.
ADMISSION = 0.5
# Seconds between two questions to CM.com about the templates' state; our own record of it is read in every claim.
TEMPLATES_EVERY = 60.0
FIRST_DELAY, LONGEST_DELAY = 0.5, 15.0


@dataclass(slots=True)
class SendReport:
    """What one worker did.

    `ended`: done (nothing is left), waiting (look again at `next_due`), or the campaign's state, such as paused.
    """

    ended: str = "done"
    next_due: datetime | None = None
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class SendSettings:
    """How one worker sends.

    `messages_per_second` is the integration's rate, which all its workers and campaigns share; `own_rate` what this
    campaign asked for, if less. `lanes`: the most requests at a time; at 100 requests a second, the most there are at a
    limited rate, 32 reach it as long as a request and its bookkeeping take less than 0.3 s. `patience`: seconds without
    any success before the task gives up (and is retried).

    `limits`: the brakes', the entity's when left out. `ask_templates`: brings the store's record of the templates up to
    date; called once a minute, in a thread. `link_key`: to make the links of buttons that are counted; needed by
    campaigns that have such buttons only.
    """

    worker: str
    messages_per_second: int
    own_rate: int | None = None
    lanes: int = 32
    patience: float = 60.0
    pause_between_looks: float = 0.2
    limits: Limits | None = None
    daily: DailyLimit = field(default_factory=DailyLimit)
    link_key: bytes | None = field(default=None, repr=False)
    ask_templates: Callable[[], Any] | None = None


def send(
    entity: Entity,
    campaign_id: int,
    messenger: Callable[[], Any],
    settings: SendSettings,
    *,
    dsn: str,
) -> SendReport:
    """Send what is planned until nothing is due. `messenger()` gives an async context manager of a Messenger.

    Called again (retry, clear, twice at once) it continues and repeats nothing. Raises GatewayUnreachable when
    nothing could be sent for `patience` seconds, CampaignNotReady when the campaign was never approved.
    """
    with connect(dsn, application="whatsapp send") as conn:
        require_current(conn)
        STATES.start(conn, campaign_id=campaign_id, now=datetime.now(UTC))
        SQL.expire(conn, campaign_id=campaign_id)
        campaign = STATES.campaign(conn, campaign_id=campaign_id)
        if campaign is None or campaign["approved_at"] is None:
            raise CampaignNotReady(f"Campaign {campaign_id} was not approved; nothing was sent.")
        links = campaign_links(conn, campaign_id)
        if links and settings.link_key is None:
            raise CampaignNotReady(
                f"Campaign {campaign_id} has buttons whose clicks are counted, and this sender was given no key to "
                "make their links with; nothing was sent."
            )
        # What an earlier process of this worker left in flight. If it is still alive (a zombie), its own answers
        # overrule this; it is never claimed again either way.
        left_behind = SQL.call_uncertain(
            conn, month=campaign["month"], campaign_id=campaign_id, worker_pattern=_pattern(settings.worker)
        )
    if left_behind:
        log.warning("campaign=%s uncertain=%s left behind by an earlier attempt", campaign_id, left_behind)
    work = _Worker(campaign, entity, messenger, settings, dsn, links)
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
        entity: Entity,
        messenger: Callable[[], Any],
        settings: SendSettings,
        dsn: str,
        links: CampaignLinks,
    ) -> None:
        self._campaign = campaign
        self._links = links
        self._tokens = LinkTokens(settings.link_key or b"")
        self._templates = templates_by_variant(entity, campaign["parameters"])
        self._conditions = _conditions(entity, campaign)
        self._open_messenger = messenger
        self._settings = settings
        self._dsn = dsn
        # Unique to this process: a zombie of the same task must not share the lease or the claims of its successor.
        self._process = f"{settings.worker}/{uuid.uuid4().hex[:12]}"
        self._limits = settings.limits or Limits(**entity.settings.brakes.model_dump())
        self._brake = GatewayBrake(self._limits)
        self._last_success = time.monotonic()
        self._delay = FIRST_DELAY
        self._held_off_until = 0.0
        self._stopped = False
        self.report = SendReport()

    async def run(self) -> None:
        async with AsyncExitStack() as stack:
            messenger: Messenger = await stack.enter_async_context(self._open_messenger())
            lease = await stack.enter_async_context(
                RateLease(
                    Reconnecting(self._dsn, application="whatsapp lease"),
                    connection_id=self._campaign["connection_id"],
                    campaign_id=self._campaign["id"],
                    worker=f"{self._campaign['id']}/{self._process}",
                    rate=self._settings.messages_per_second,
                    own_rate=self._settings.own_rate,
                )
            )
            ledger = await stack.enter_async_context(
                Ledger(
                    self._dsn,
                    {"month": self._campaign["month"], "campaign_id": self._campaign["id"]},
                    process=self._process,
                    conditions=self._conditions,
                    daily=self._settings.daily,
                    patience=self._settings.patience,
                )
            )
            looking = Reconnecting(self._dsn, application="whatsapp brakes")
            stack.push_async_callback(looking.drop)
            # Before anything leaves: the number's quality, the templates, what came back while nobody sent.
            more = not await self._must_stop(await looking.get())
            while more:
                watch = asyncio.create_task(self._watch(looking))
                try:
                    await self._run_lanes(messenger, lease, ledger)
                finally:
                    watch.cancel()
                    await asyncio.gather(watch, return_exceptions=True)
                    self.report.counts.update(ledger.turned_away)
                    ledger.turned_away.clear()
                more = await self._more_to_send(await looking.get())

    async def _run_lanes(self, messenger: Messenger, lease: RateLease, ledger: Ledger) -> None:
        self.report.ended = "done"
        lanes = [
            asyncio.create_task(self._lane(messenger, lease, ledger)) for _ in range(self._settings.lanes)
        ]
        try:
            await asyncio.gather(*lanes)
        finally:
            # One lane's error ends the worker, but every request that left is waited for and written down.
            self._stopped = True
            await asyncio.gather(*lanes, return_exceptions=True)
            self._stopped = False

    async def _lane(self, messenger: Messenger, lease: RateLease, ledger: Ledger) -> None:
        while not (self._brake.tripped or self._stopped):
            size = lease.request_size(messenger.batch_size)
            await lease.turn(size)
            claim = await ledger.claim(size)
            if len(claim.rows) < size:
                lease.unused(size - len(claim.rows))
            if claim.rows:
                await self._post(messenger, lease, ledger, claim.rows)
            elif not claim.found and await self._nothing_to_do(ledger, claim.again_at):
                return

    async def _post(
        self, messenger: Messenger, lease: RateLease, ledger: Ledger, rows: list[dict[str, Any]]
    ) -> None:
        """Send claimed rows as one request, and write down what became of each."""
        encoded, sent, unfit = self._encode(messenger, rows)
        if unfit:
            await ledger.record(unfit, ["rejected"] * len(unfit), [UNFIT] * len(unfit))
            self.report.counts["rejected"] += len(unfit)
            lease.unused(len(unfit))
        if not sent:
            return
        if not await lease.admit(len(sent), patience=ADMISSION):
            lease.unused(len(sent))
            await ledger.record(sent, ["planned"] * len(sent), [None] * len(sent))
            return
        try:
            delivery: Delivery = await messenger.send(encoded)
        except BaseException:
            lease.left(len(sent), len(sent), time.monotonic())
            raise
        never_left = delivery.outcome == "not_sent" and delivery.left_at is None
        lease.left(len(sent), 0 if never_left else len(sent), delivery.left_at or time.monotonic())
        states, codes = read_outcomes(delivery, len(sent))
        await ledger.record(sent, states, codes)
        self.report.counts.update(states)
        if "accepted" in states:
            self._last_success = time.monotonic()
        reason = self._brake.note(states, fatal_code=delivery.code if delivery.fatal else None)
        if reason:
            await ledger.pause(reason)
            self._note_pause(reason)
        if delivery.outcome == "not_sent":
            self._back_off(lease, delivery)
        else:
            self._delay = FIRST_DELAY

    def _encode(
        self, messenger: Messenger, rows: list[dict[str, Any]]
    ) -> tuple[list[bytes], list[dict[str, Any]], list[dict[str, Any]]]:
        """The messages as the gateway wants them, their rows, and the rows it could not take."""
        encoded: list[bytes] = []
        sent: list[dict[str, Any]] = []
        unfit: list[dict[str, Any]] = []
        for row in rows:
            try:
                encoded.append(messenger.encode(self._outgoing(row)))
                sent.append(row)
            except ValueError:
                unfit.append(row)
        return encoded, sent, unfit

    def _back_off(self, lease: RateLease, delivery: Delivery) -> None:
        """The gateway was not reached, or asked to wait: all lanes wait, and then send more slowly at first."""
        now = time.monotonic()
        if now - self._last_success > self._settings.patience:
            raise GatewayUnreachable(
                f"Nothing could be sent for {self._settings.patience:.0f} s ({delivery.cause}). Nothing is "
                "in doubt: the rows are planned again, and a retry goes on with them."
            )
        wait = max(delivery.retry_after or 0.0, self._delay)
        if delivery.left_at is None:
            lease.hold_off(wait)
        else:
            lease.slow_down(wait)
        if now >= self._held_off_until:  # else a request that was under way with the one that already told us
            self._held_off_until = now + wait
            self._delay = min(self._delay * 2, LONGEST_DELAY)

    def _outgoing(self, row: dict[str, Any]) -> Outgoing:
        template = self._templates[row["variant"]]
        text = template.languages[row["language"]]
        media = self._campaign["parameters"].get("header_media_url")
        return Outgoing(
            phone=row["phone"],
            reference=row["reference"],
            template=template.name,
            namespace=template.namespace,
            language=row["language"],
            variables=tuple(row["variables"][: len(template.variables)]),
            payloads=self._payloads(template, row["language"]),
            fallback_text=template.fallback_text,
            groupings=(grouping(self._campaign["id"]), self._campaign["entity"], "airflow-whatsapp"),
            header_media=(text.header_media, media) if text.header_media and media else None,
            url_parts=(
                *zip(text.url_variables, row["variables"][len(template.variables) :], strict=True),
                *(
                    (index, self._tokens.make(link, row["subscription_id"]))
                    for index, link in self._links.get((template.name, row["language"]), ())
                ),
            ),
        )

    def _payloads(self, template: Template, language: str) -> tuple[tuple[int, str], ...]:
        """What each quick reply sends back: the form's choice, else the template file's."""
        found = []
        for index, button in enumerate(template.languages[language].buttons):
            choice = self._campaign["parameters"].get("buttons", {}).get(str(index + 1), {})
            payload = choice.get(language, choice).get("payload") or button.payload
            if button.type == "quick_reply" and payload:
                found.append((index, payload))
        return tuple(found)

    async def _nothing_to_do(self, ledger: Ledger, again_at: datetime | None) -> bool:
        """Whether this lane is finished; if not, it has waited a little for rows that others hold.

        `again_at`: when the portfolio's limit per 24 hours allows more, if that is what stopped the lane.
        """
        outlook = await ledger.outlook()
        if outlook["state"] != "sending":
            # A paused campaign whose time is over has nothing left to wait for.
            left = outlook["due"] or outlook["next_due"] or outlook["held_back"]
            self.report.ended = outlook["state"] if left or outlook["state"] != "paused" else "done"
            return True
        if again_at is not None and outlook["due"]:
            self.report.ended, self.report.next_due = "waiting", again_at
            return True
        if not outlook["due"]:
            self.report.ended = "waiting" if outlook["next_due"] or outlook["held_back"] else "done"
            self.report.next_due = outlook["next_due"]
            return True
        await asyncio.sleep(self._settings.pause_between_looks)
        return False

    async def _more_to_send(self, conn: psycopg.AsyncConnection[Any]) -> bool:
        """Once nothing is due: judge the probe, plan retries, and say whether that made anything due now."""
        if self.report.ended not in ("done", "waiting"):
            return False
        campaign: dict[str, Any] = await brakes.read_campaign(conn, self._campaign["id"])
        looks = [self.report.next_due]
        if campaign["open_wave"] == 0:
            look_again, reason = await brakes.judge_probe(conn, campaign, datetime.now(UTC))
            if reason:
                await brakes.pause(conn, campaign["id"], reason)
                self._note_pause(reason)
                return False
            if look_again is None:
                return True
            looks.append(look_again)
        if campaign["parameters"]["attempts"] > 1:
            await brakes.plan_retries(conn, campaign)
            looks.append(await brakes.next_look(conn, campaign))
        self.report.next_due = min((look for look in looks if look), default=None)
        self.report.ended = "waiting" if self.report.next_due else "done"
        return False

    async def _watch(self, looking: Reconnecting) -> None:
        """Four times a second, look at what comes back; and once a minute, ask CM.com about the templates."""
        ask_again = time.monotonic() + TEMPLATES_EVERY
        while True:
            await asyncio.sleep(0.25)
            try:
                if await self._must_stop(await looking.get()):
                    return
            except AWAY:
                await looking.drop()  # the lanes notice too, and wait for the database
            if self._settings.ask_templates is not None and time.monotonic() > ask_again:
                ask_again = time.monotonic() + TEMPLATES_EVERY
                try:
                    await asyncio.to_thread(self._settings.ask_templates)
                except Exception as error:  # noqa: BLE001 - whatever it is, what was known of the templates holds
                    log.warning("CM.com could not be asked about the templates: %s", type(error).__name__)

    async def _must_stop(self, conn: psycopg.AsyncConnection[Any]) -> bool:
        """Whether a brake has just paused the campaign."""
        for code in await brakes.note_unknown_codes(conn, self._campaign):
            log.warning("campaign=%s unknown_code=%s", self._campaign["id"], code)
        for country, people in await brakes.close_countries(conn, self._campaign):
            log.warning("campaign=%s closed_country=%s people=%s", self._campaign["id"], country, people)
        stop = await brakes.reason_to_stop(conn, self._campaign, self._limits)
        if stop is None:
            return False
        await brakes.stop(conn, self._campaign["id"], stop)
        self._note_pause(stop.reason)
        return True

    def _note_pause(self, reason: str) -> None:
        log.warning("campaign=%s paused: %s", self._campaign["id"], reason)
        self.report.ended = "paused"


def read_outcomes(delivery: Delivery, messages: int) -> tuple[list[str], list[int | None]]:
    """A request's fate as ledger states and codes, one per message. Pure."""
    if delivery.outcome == "not_sent":
        return ["planned"] * messages, [None] * messages
    if delivery.outcome == "refused":
        if delivery.fatal:
            # Token or balance: certainly nothing was taken, and the people are not to blame: they wait for the remedy.
            return ["planned"] * messages, [None] * messages
        return ["rejected"] * messages, [delivery.code] * messages
    if delivery.outcome != "answered" or len(delivery.results) != messages:
        return ["uncertain"] * messages, [None] * messages
    names = {True: "accepted", False: "rejected", None: "uncertain"}
    return [names[result.accepted] for result in delivery.results], [
        result.code for result in delivery.results
    ]


def templates_by_variant(entity: Entity, parameters: dict[str, Any]) -> dict[str | None, Template]:
    """The template of each variant's name, as the plan froze it; None and `base` are the campaign's own."""
    frozen = {name: Template.model_validate(text) for name, text in parameters.get("texts", {}).items()}

    def text_of(name: str) -> Template:
        return frozen.get(name) or entity.template(name)

    own = text_of(parameters["template"])
    named = {item["name"]: text_of(item["template"]) for item in parameters.get("variants", ())}
    return {None: own, BASE: own, **named}


def _conditions(entity: Entity, campaign: dict[str, Any]) -> dict[str, Any]:
    """What the claim asks of a person besides consent, from the frozen parameters."""
    parameters = campaign["parameters"]
    window, quiet = parameters.get("window") or {}, parameters.get("quiet_hours") or {}
    templates = {BASE: parameters["template"]}
    templates |= {item["name"]: item["template"] for item in parameters.get("variants", ())}
    return {
        "wanted": wanted(parameters),
        "category": parameters["category"],
        "recent_month": campaign["month"] - 1 if campaign["month"] % 100 > 1 else campaign["month"] - 89,
        "max_per_week": parameters["max_messages_per_week"],
        "window_start": window.get("start"),
        "window_end": window.get("end"),
        "quiet_start": quiet.get("start"),
        "quiet_end": quiet.get("end"),
        "templates": json.dumps(templates),
        "budget": parameters.get("budget"),
        "entity_zone": entity.settings.time_zone,
        "expires_at": campaign["expires_at"],
    }


def _pattern(worker: str) -> str:
    """LIKE pattern of every claim by any process of a worker."""
    return worker.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "/%"
