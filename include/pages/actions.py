"""Pause, resume, cancel, release: a page that says what will happen, and the form that does it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from include.campaigns import states
from include.campaigns.errors import CampaignNotReady
from include.pages.access import Forbidden, NotThere
from include.pages.forms import seal, sealed_fields
from include.pages.rendering import render
from include.pages.store import may_change, open_campaign, reading
from include.reports import funnel

router = APIRouter()
# How long CM.com's log has to settle a message of unknown fate before a person may release it.
LOG_HAS = timedelta(hours=24)
MOST_REASON = 200


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person may do with a campaign in one of some states."""

    label: str
    states: tuple[str, ...]
    effect: str
    needs_reason: bool = True
    is_grave: bool = False


ACTIONS: Final[dict[str, Action]] = {
    "pause": Action(
        "Pause",
        ("approved", "sending"),
        "Within a second no worker sends anything more. What is on its way arrives; everybody else waits, and "
        "nobody is lost. Resume goes on where it stopped.",
    ),
    "resume": Action(
        "Resume",
        ("paused",),
        "Sending goes on with those who have not had the message, and with nobody else. Make sure first that the "
        "cause of the pause is gone: the brakes look only at what comes back from now on.",
        needs_reason=False,
    ),
    "cancel": Action(
        "Cancel for good",
        states.OPEN,
        "Whoever has not had the message does not get it. It cannot be taken back: to write to them after all, start "
        "a new campaign.",
        is_grave=True,
    ),
    "release": Action(
        "Send uncertain messages again",
        ("sending", "paused", "sent"),
        "Nobody knows whether these messages arrived. Whoever did get the first one gets it a second time, and may "
        "block the sender for it. Only messages that CM.com's log has had a day to settle are released; let "
        "pull_message_logs run first.",
        is_grave=True,
    ),
}

NOTICES: Final[dict[str, str]] = {
    "pause": "Paused. Every worker stops within a second.",
    "cancel": "Cancelled. Nothing more is sent.",
    "goes_on": "Resumed. Its run in Airflow is still there and goes on within minutes.",
    "started_again": "Resumed. Its run in Airflow had ended and was started again from the task send on, for what is "
    "outstanding.",
    "by_hand": "Resumed. Its run in Airflow has ended and could not be started from here: ask an engineer to clear it "
    "from the task send on.",
    "too_late": "Nothing was changed: the campaign's state does not allow that any more.",
    "nothing": "Nothing was released: no message has been uncertain for a day.",
}


def possible(header: dict[str, Any], uncertain: int) -> dict[str, Action]:
    """What may be done with a campaign as it is now."""
    return {
        verb: action
        for verb, action in ACTIONS.items()
        if header["state"] in action.states and (verb != "release" or uncertain)
    }


@router.get("/campaigns/{campaign_id}/do/{verb}")
def ask(request: Request, campaign_id: int, verb: str) -> Response:
    """Say what will happen, and ask."""
    action = ACTIONS.get(verb)
    if action is None:
        raise NotThere
    with reading(request) as conn:
        header = open_campaign(request, conn, campaign_id)
        _may_change(request, header)
        figures = funnel(conn, campaign_id, live=True)
    values = {
        "tab": "campaigns",
        "header": header,
        "funnel": figures,
        "verb": verb,
        "action": action,
        "is_possible": verb in possible(header, figures.uncertain),
        "seal": seal(request, f"{verb}/{campaign_id}"),
        "most_reason": MOST_REASON,
    }
    return render(request, "action.html", values)


@router.post("/campaigns/{campaign_id}/do/{verb}")
async def do(request: Request, campaign_id: int, verb: str) -> Response:
    """Do it, if the form is ours and the reader may; then show the campaign."""
    if verb not in ACTIONS:
        raise NotThere
    fields = await sealed_fields(request, f"{verb}/{campaign_id}")
    notice = await run_in_threadpool(_do, request, campaign_id, verb, fields.get("reason", "").strip())
    root = request.scope.get("root_path", "").rstrip("/")
    return RedirectResponse(f"{root}/campaigns/{campaign_id}?notice={notice}", status_code=303)


def _do(request: Request, campaign_id: int, verb: str, reason: str) -> str:
    with reading(request) as conn:
        header = open_campaign(request, conn, campaign_id)
    _may_change(request, header)
    who, now = request.state.access.reader, datetime.now(UTC)
    told: dict[str, Any] = {"dsn": request.state.dsn(), "campaign_id": campaign_id, "now": now, "by": who}
    reason = reason[:MOST_REASON]
    if verb == "release":
        try:
            released = states.release_uncertain(**told, older_than=LOG_HAS, reason=reason)
        except CampaignNotReady:
            return "too_late"
        return request.state.go_on(header["run_key"]) if released else "nothing"
    if verb == "resume":
        return request.state.go_on(header["run_key"]) if states.resume(**told, reason=reason) else "too_late"
    change = {"pause": states.pause, "cancel": states.cancel}[verb]
    return verb if change(**told, reason=reason or f"{verb} by {who or 'a person'}") else "too_late"


def _may_change(request: Request, header: dict[str, Any]) -> None:
    if not may_change(request, header["entity"]):
        raise Forbidden
