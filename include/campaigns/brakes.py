"""The brakes: what makes a campaign pause by itself. The pause is in the database, so every worker obeys it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import psycopg

from include.campaigns.errors import CampaignNotReady
from include.campaigns.failures import CLOSING, FORGIVEN, KNOWN, RETRIED, STOPPING, UNKNOWN, Rule, rule
from include.campaigns.states import SQL as STATES
from include.database import named_sql
from include.message_log.codes import explain

SQL = named_sql(__file__, "brakes.sql")


@dataclass(frozen=True, slots=True)
class Limits:
    """Shares of the last results clearly above which a campaign pauses, once there are `least` of them."""

    last: int = 200
    least: int = 50
    max_uncertain: float = 0.2
    max_rejected: float = 0.5
    max_failed: float = 0.1
    max_stopped: float = 0.05


def is_clearly_more(count: int, of: int, share: float) -> bool:
    """Whether `count` of `of` is more than chance makes of a true `share`: by two standard errors. Pure.

    One message in 45 brings a stop in an ordinary campaign; 3 among the first 50 are nothing special then, and yet 6 %.
    """
    # All of them are clearly more than any share below 1, however few they are and however high it is.
    return count > share * of and (
        count == of or count > share * of + 2 * math.sqrt(share * (1 - share) * of)
    )


class GatewayBrake:
    """Looks at one worker's answers: trips on a refusal of every request or on too many bad answers, for good."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._results: deque[str] = deque(maxlen=limits.last)
        self.tripped = False

    def note(self, states: list[str], *, fatal_code: int | None) -> str | None:
        """Take in one request's results; the reason to pause, the first time there is one."""
        self._results.extend(state for state in states if state != "planned")
        if self.tripped:
            return None
        reason = self._reason(fatal_code)
        self.tripped = reason is not None
        return reason

    def _reason(self, fatal_code: int | None) -> str | None:
        if fatal_code is not None:
            return f"CM.com refuses every request (code {fatal_code}): correct token or balance, then resume"
        seen = len(self._results)
        if seen < self._limits.least:
            return None
        uncertain, rejected = self._results.count("uncertain"), self._results.count("rejected")
        if is_clearly_more(uncertain, seen, self._limits.max_uncertain):
            return f"{uncertain / seen:.0%} of the last {seen} messages got no answer: see CM.com's status, resume"
        if is_clearly_more(rejected, seen, self._limits.max_rejected):
            return f"{rejected / seen:.0%} of the last {seen} messages were refused: see their codes, then resume"
        return None


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a campaign must stop until a person has looked, and who must stop with it."""

    reason: str
    scope: Literal["campaign", "template", "sender"] = "campaign"


async def reason_to_stop(
    conn: psycopg.AsyncConnection[Any], campaign: dict[str, Any], limits: Limits
) -> Stop | None:
    """What comes back of a campaign, or is known of its template and number, says that it must stop. Read only."""
    keys = {"campaign_id": campaign["id"], "month": campaign["month"], "since": campaign["sending_since"]}
    template = await _one(conn, SQL.unsendable_template.sql, {"campaign_id": campaign["id"]})
    if template is not None:
        name = f"{template['name']} ({template['language']})"
        return Stop(f"Template {name} is {template['status']}: have it approved again, then resume")
    number = await _one(conn, SQL.number_quality.sql, {"campaign_id": campaign["id"]})
    if (
        number is not None
        and number["quality"] == "RED"
        and campaign["parameters"]["category"] == "marketing"
    ):
        said = number["quality_by"] or "somebody"
        return Stop(
            f"The number's quality is RED, says {said}: send no marketing until it is better, then resume"
        )
    stopping = await _one(conn, SQL.stopping_code.sql, {**keys, "codes": STOPPING})
    if stopping is not None:
        meaning = explain(stopping["error_code"], "status").meaning
        code = f"code {stopping['error_code']} ({meaning})"
        scope: Literal["template", "sender"] = (
            "template" if rule(stopping["error_code"]).action == "stop_template" else "sender"
        )
        return Stop(
            f"{stopping['messages']} message(s) failed with {code}: remove the cause, then resume", scope
        )
    recent = await _one(conn, SQL.recent_results.sql, {**keys, "last": limits.last, "forgiven": FORGIVEN})
    if recent is None or recent["results"] < limits.least:
        return None
    results = recent["results"]
    if is_clearly_more(recent["failed"], results, limits.max_failed):
        failed = recent["failed"] / results
        return Stop(f"{failed:.0%} of the last {results} messages failed: see their codes, then resume")
    if is_clearly_more(recent["stopped"], results, limits.max_stopped):
        stopped = recent["stopped"] / results
        return Stop(
            f"{stopped:.0%} of the last {results} people said stop: reconsider the message, then resume"
        )
    return None


async def note_unknown_codes(conn: psycopg.AsyncConnection[Any], campaign: dict[str, Any]) -> list[int]:
    """Codes in no table of ours, noted once in the campaign's history; those that were new to it."""
    keys = {"campaign_id": campaign["id"], "month": campaign["month"], "since": campaign["sending_since"]}
    found = await (await conn.execute(SQL.unknown_codes.sql, {**keys, "known": KNOWN})).fetchall()
    new = []
    for row in found:
        reason = f"Code {row['error_code']} is not in our tables: ask CM.com what it means"
        line = {"campaign_id": campaign["id"], "state": "sending", "reason": reason}
        if await _one(conn, SQL.note_once.sql, line):
            new.append(row["error_code"])
    return new


async def close_countries(
    conn: psycopg.AsyncConnection[Any], campaign: dict[str, Any]
) -> list[tuple[str, int]]:
    """Leave out who is still planned in a country that we may not write to, as failures say: country and people."""
    keys = {"campaign_id": campaign["id"], "month": campaign["month"], "since": campaign["sending_since"]}
    found = await (await conn.execute(SQL.close_countries.sql, {**keys, "codes": CLOSING})).fetchall()
    for row in found:
        reason = (
            f"This account may not write to {row['country']}: the rest of that country is left out. "
            "If that is to stay, name it in the entity's closed_to_marketing"
        )
        await conn.execute(
            SQL.note_once.sql, {"campaign_id": campaign["id"], "state": "sending", "reason": reason}
        )
    return [(row["country"], row["people"]) for row in found]


async def judge_probe(
    conn: psycopg.AsyncConnection[Any], campaign: dict[str, Any], now: datetime
) -> tuple[datetime | None, str | None]:
    """While the probe is out: when to look again, or the reason to pause; (None, None) once everybody may follow."""
    probe = await _one(
        conn,
        SQL.probe.sql,
        {"campaign_id": campaign["id"], "month": campaign["month"], "forgiven": FORGIVEN},
    )
    if probe is None:
        return None, None
    if probe["open"]:
        return now + timedelta(seconds=30), None
    parameters = campaign["parameters"]
    if probe["waiting"]:
        verdict_at = probe["last_left"] + timedelta(minutes=parameters["probe_minutes"])
        if now < verdict_at:
            return min(verdict_at, now + timedelta(seconds=30)), None
    share = 100 * probe["failed"] / probe["messages"] if probe["messages"] else 0.0
    if share > parameters["probe_max_failed_percent"]:
        return (
            None,
            f"The probe failed: {share:.0f} % of {probe['messages']} messages. Look at their codes, then resume",
        )
    await conn.execute(SQL.open_everybody.sql, {"campaign_id": campaign["id"]})
    return None, None


async def plan_retries(conn: psycopg.AsyncConnection[Any], campaign: dict[str, Any]) -> int:
    """Plan another attempt for what failed for a passing reason; how many rows. Limited by `attempts` of the form."""
    groups: list[tuple[Rule, list[int], bool]] = [(found, each, False) for found, each in RETRIED.items()]
    planned = 0
    for found, those, others in [*groups, (UNKNOWN, KNOWN, True)]:
        cursor = await conn.execute(
            SQL.retry_failed.sql,
            {
                "campaign_id": campaign["id"],
                "month": campaign["month"],
                "codes": those,
                "others": others,
                "most_attempts": min(campaign["parameters"]["attempts"], 1 + found.retries),
                "delay": timedelta(minutes=found.minutes),
            },
        )
        planned += cursor.rowcount
    return planned


async def next_look(conn: psycopg.AsyncConnection[Any], campaign: dict[str, Any]) -> datetime | None:
    """When something may be due again: a planned retry, or a status that a message of the last hour still lacks."""
    now = datetime.now(UTC)
    keys = {"campaign_id": campaign["id"], "month": campaign["month"]}
    row = await _one(conn, SQL.still_open.sql, {**keys, "since": now - timedelta(hours=1)})
    if row is None:
        return None
    looks = [row["next_due"], now + timedelta(minutes=1) if row["awaiting"] else None]
    return min((look for look in looks if look), default=None)


async def read_campaign(conn: psycopg.AsyncConnection[Any], campaign_id: int) -> dict[str, Any]:
    """The campaign's row as it is now."""
    row = await _one(conn, STATES.campaign.sql, {"campaign_id": campaign_id})
    if row is None:
        raise CampaignNotReady(f"Campaign {campaign_id} has disappeared.")
    return row


async def pause(conn: psycopg.AsyncConnection[Any], campaign_id: int, reason: str) -> None:
    """Stop every worker of the campaign at its next claim, with the reason."""
    parameters = {"campaign_id": campaign_id, "state": "paused", "reason": reason, "from_states": ["sending"]}
    await conn.execute(STATES.change_state.sql, {**parameters, "now": datetime.now(UTC)})


async def stop(conn: psycopg.AsyncConnection[Any], campaign_id: int, why: Stop) -> None:
    """Pause the campaign, and with it every other that the same cause concerns."""
    await pause(conn, campaign_id, why.reason)
    if why.scope != "campaign":
        await conn.execute(
            SQL.pause_others.sql,
            {
                "campaign_id": campaign_id,
                "everything": why.scope == "sender",
                "reason": f"As campaign {campaign_id}: {why.reason}",
                "now": datetime.now(UTC),
            },
        )


async def _one(
    conn: psycopg.AsyncConnection[Any], statement: str, parameters: dict[str, Any]
) -> dict[str, Any] | None:
    row: dict[str, Any] | None = await (await conn.execute(statement, parameters)).fetchone()
    return row
