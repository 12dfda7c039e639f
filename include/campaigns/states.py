"""A campaign's states and who may move it. The database holds the state, so that every worker obeys it at
once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg

from include.campaigns.errors import CampaignNotReady, PlanChanged
from include.database import connect, named_sql, require_current

SQL = named_sql(__file__, "approval.sql")
LEDGER = named_sql(__file__, "ledger.sql")
PLAN = named_sql(__file__, "plan.sql")
PACING = named_sql(__file__, "pacing.sql")
# WhatsApp drops a message that could not be delivered for 30 days (B.2: "TTL"); two more for the status to arrive.
LIFETIME = timedelta(days=32)
OPEN = ("planned", "approved", "sending", "paused")


def approve(*, dsn: str, campaign_id: int, plan_hash: str, approved_by: str, now: datetime) -> None:
    """Record who approved which plan. Raises PlanChanged when the campaign's plan is another one, or is not any more
    what was planned.
    """
    with connect(dsn, application="whatsapp approve") as conn:
        require_current(conn)
        _refuse_changed(conn, campaign_id, plan_hash)
        list(SQL.act_as(conn, actor=approved_by, why=""))
        if (
            SQL.approve(conn, campaign_id=campaign_id, plan_hash=plan_hash, approved_by=approved_by, now=now)
            is None
        ):
            campaign = read(conn, campaign_id)
            if campaign["plan_hash"] != plan_hash:
                raise PlanChanged(
                    f"Campaign {campaign_id} is planned as {campaign['plan_hash']}, not as {plan_hash}. "
                    "Look at the plan again and approve it anew."
                )
            if campaign["approved_at"] is None:
                raise CampaignNotReady(
                    f"Campaign {campaign_id} is {campaign['state']} and cannot be approved."
                )


def _refuse_changed(conn: psycopg.Connection[Any], campaign_id: int, plan_hash: str) -> None:
    """Compare a plan that waits for its approval with the rows that are there now."""
    campaign = read(conn, campaign_id)
    if campaign["state"] != "planned":
        return
    now = PLAN.hash_of_plan(conn, campaign_id=campaign_id, month=campaign["month"])["plan_hash"]
    if now != plan_hash == campaign["plan_hash"]:
        raise PlanChanged(
            f"The rows of campaign {campaign_id} are not those that were planned as {plan_hash} (somebody in it was "
            "erased, or the ledger was changed by hand). Start a new run and approve that one."
        )


def cancel(*, dsn: str, campaign_id: int, reason: str, now: datetime, by: str = "") -> bool:
    """End a campaign for good: what has not left is closed. True when this call ended it."""
    with _acting(dsn, by) as conn:
        moved = _move(conn, campaign_id, "cancelled", reason, OPEN, now)
        if moved:
            LEDGER.close_planned(
                conn, month=read(conn, campaign_id)["month"], campaign_id=campaign_id, reason="cancelled"
            )
        return moved


def pause(*, dsn: str, campaign_id: int, reason: str, now: datetime, by: str = "") -> bool:
    """Stop claiming until `resume`. True when this call paused it."""
    with _acting(dsn, by) as conn:
        return _move(conn, campaign_id, "paused", reason, ("approved", "sending"), now)


def resume(*, dsn: str, campaign_id: int, now: datetime, by: str = "", reason: str = "") -> bool:
    """Let a paused campaign go on where it stopped. True when this call resumed it; `reason` is for the history."""
    with _acting(dsn, by, reason) as conn:
        return _move(conn, campaign_id, "sending", None, ("paused",), now)


def release_uncertain(
    *, dsn: str, campaign_id: int, older_than: timedelta, now: datetime, by: str = "", reason: str = ""
) -> int:
    """Plan messages of unknown fate for another attempt; returns how many. Whoever did get one then gets it twice.

    Only a person decides this, for one campaign, after the message log has had `older_than` to settle them. The
    campaign goes on sending, for at least another day. Raises CampaignNotReady when it has never been sent or is over.
    """
    with _acting(dsn, by) as conn:
        if SQL.reopen(conn, campaign_id=campaign_id, now=now, until=now + timedelta(days=1)) is None:
            raise CampaignNotReady(f"Campaign {campaign_id} is not one that was sent: nothing was released.")
        released: int = LEDGER.release_uncertain(conn, campaign_id=campaign_id, before=now - older_than)
        told = f"{released} uncertain message(s) released to be sent again" + (
            f": {reason}" if reason else ""
        )
        SQL.note(conn, campaign_id=campaign_id, state="sending", reason=told, actor=by or None)
        return released


def paused_for(*, dsn: str, campaign_id: int, now: datetime) -> timedelta:
    """How long a campaign has been paused; nothing when it is not."""
    with connect(dsn, application="whatsapp campaign") as conn:
        since: datetime | None = SQL.paused_since(conn, campaign_id=campaign_id)
        return max(now - since, timedelta(0)) if since else timedelta(0)


def set_number_quality(*, dsn: str, connection_id: str, quality: str, by: str) -> None:
    """Record what a person has seen of a number's quality (GREEN, YELLOW, RED, UNKNOWN): CM.com does not tell it."""
    with connect(dsn, application="whatsapp campaign") as conn:
        require_current(conn)
        PACING.set_quality(conn, connection_id=connection_id, quality=quality, who=by)


def history(conn: psycopg.Connection[Any], campaign_id: int) -> list[dict[str, Any]]:
    """What happened to a campaign, the newest first: at, state, reason, by (None: the system itself)."""
    return list(SQL.history(conn, campaign_id=campaign_id))


def settle_finished(entity_name: str, *, dsn: str, now: datetime) -> int:
    """Close the campaigns in which nothing can change any more; returns how many."""
    with connect(dsn, application="whatsapp settle") as conn:
        require_current(conn)
        settled: int = LEDGER.settle_finished(conn, entity=entity_name, before=now - LIFETIME)
        return settled


def read(conn: psycopg.Connection[Any], campaign_id: int) -> dict[str, Any]:
    """The campaign's row. Raises CampaignNotReady when there is none."""
    campaign: dict[str, Any] | None = SQL.campaign(conn, campaign_id=campaign_id)
    if campaign is None:
        raise CampaignNotReady(f"There is no campaign {campaign_id}.")
    return campaign


@contextmanager
def _acting(dsn: str, by: str, why: str = "") -> Iterator[psycopg.Connection[Any]]:
    """One transaction of somebody's."""
    with connect(dsn, application="whatsapp campaign") as conn:
        require_current(conn)
        list(SQL.act_as(conn, actor=by, why=why))
        yield conn


def _move(
    conn: psycopg.Connection[Any],
    campaign_id: int,
    state: str,
    reason: str | None,
    from_states: tuple[str, ...],
    now: datetime,
) -> bool:
    moved = SQL.change_state(
        conn, campaign_id=campaign_id, state=state, reason=reason, from_states=list(from_states), now=now
    )
    return moved is not None
