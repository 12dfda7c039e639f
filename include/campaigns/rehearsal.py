"""The real message to the test people, before anybody is asked to approve."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from include.campaigns.parameters import CampaignParameters, Recipient
from include.campaigns.plan import plan_campaign
from include.campaigns.sender import SendSettings, send
from include.campaigns.states import approve
from include.entities import Entity

ALWAYS = 50


def rehearse(
    entity: Entity,
    parameters: CampaignParameters,
    messenger: Callable[[], Any],
    *,
    run_key: str,
    messages_per_second: int,
    dsn: str,
    now: datetime,
    link_key: bytes | None = None,
) -> int:
    """Send the campaign's message to the form's or the entity's test people; returns how many were accepted.

    A small campaign of its own, in the same ledger: consent, suppression and "once" hold for colleagues too. A retry
    sends nothing again. Raises what planning and sending raise.
    """
    chosen = parameters.test_recipients or entity.settings.test_records
    people = tuple(Recipient(source=item.source, record_id=item.record_id) for item in chosen)
    changes = {
        "name": f"{parameters.name} (test)"[:80],
        "segment": "everyone",
        "recipients": people,
        "max_messages_per_week": ALWAYS,
        "holdout_percent": 0,
        "probe_percent": 0,
        "budget": None,
        "attempts": 1,
        "window": None,
        "test_recipients": (),
    }
    plan = plan_campaign(
        entity,
        parameters.model_copy(update=changes),
        dsn=dsn,
        run_key=run_key,
        connection_id=entity.settings.connection,
        now=now,
        repeats=True,
    )
    approve(dsn=dsn, campaign_id=plan.campaign_id, plan_hash=plan.plan_hash, approved_by="test", now=now)
    settings = SendSettings(worker="test", messages_per_second=messages_per_second, link_key=link_key)
    return send(entity, plan.campaign_id, messenger, settings, dsn=dsn).counts["accepted"]
