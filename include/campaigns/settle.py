"""The end of a campaign's run: what is in the ledger decides, not what the tasks remember."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from include.campaigns.states import LEDGER as SQL
from include.campaigns.states import SQL as STATES
from include.campaigns.states import read
from include.database import connect, require_current

# A request is answered or given up within a minute (cm_com.messenger); what is older was left by a process
# that died.
STALE = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class Settlement:
    """Where a campaign stands. `open` counts rows that may still leave, `uncertain` those nobody has answered
    for.
    """

    state: str
    reason: str | None
    open: int
    uncertain: int


def settle(campaign_id: int, *, dsn: str, now: datetime, dry_run: bool = False) -> Settlement:
    """Close what is over: a dry run, a plan nobody approved, a campaign with nothing left to send.

    Rows in flight for longer than `STALE` become uncertain; the message log settles them later. One
    transaction; repeating it changes nothing.
    """
    with connect(dsn, application="whatsapp settle") as conn:
        require_current(conn)
        campaign = read(conn, campaign_id)
        keys = {"month": campaign["month"], "campaign_id": campaign_id}
        SQL.expire(conn, campaign_id=campaign_id)
        SQL.call_stale_uncertain(conn, **keys, before=now - STALE)
        if dry_run or campaign["state"] == "planned":
            state, reason = ("cancelled", "dry_run") if dry_run else ("refused", "not_approved")
            moved = STATES.change_state(
                conn, campaign_id=campaign_id, state=state, reason=reason, from_states=["planned"], now=now
            )
            if moved is not None:
                SQL.close_planned(conn, **keys, reason=reason)
        if campaign["state"] == "cancelled":
            # What was in flight when it was cancelled, and came back as certainly not sent.
            SQL.close_planned(conn, **keys, reason="cancelled")
        counts = {row["state"]: row["messages"] for row in SQL.counts(conn, **keys)}
        unsent = counts.get("planned", 0) + counts.get("sending", 0)
        if unsent == 0 and campaign["state"] in ("sending", "paused"):
            STATES.change_state(
                conn,
                campaign_id=campaign_id,
                state="sent",
                reason=campaign["state_reason"],
                from_states=["sending", "paused"],
                now=now,
            )
        campaign = read(conn, campaign_id)
        return Settlement(campaign["state"], campaign["state_reason"], unsent, counts.get("uncertain", 0))
