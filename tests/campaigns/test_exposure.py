"""How many people still get a message once a brake's threshold is passed: at most one in a hundred of the audience.

Two workers against the real simulator, whose statuses come through the real webhook process. The threshold's moment is
found afterwards, in what the database had recorded; whoever was claimed after it was exposed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime

import pytest
from cm_com.messenger import CmComMessenger

from include.campaigns.brakes import Limits
from include.campaigns.sender import SendReport, SendSettings, send
from include.database import connect
from tests.support.campaigns import (
    LINK_KEY,
    acme,
    approve_templates,
    approved,
    register_templates,
    settings,
    subscribe,
)
from tests.support.simulator import Simulator, running_simulator
from tests.support.webhook import running_webhook

AUDIENCE = 12_000
RATE = 150
GOOD_BEFORE = 250
LIMITS = Limits()


def run(dsn: str, campaign_id: int, simulator: Simulator, worker: str) -> SendReport:
    chosen = SendSettings(worker=worker, messages_per_second=RATE, link_key=LINK_KEY)
    messenger = settings(simulator)
    return send(acme(), campaign_id, lambda: CmComMessenger(messenger), chosen, dsn=dsn)


@pytest.mark.parametrize("kind", ["failed", "uncertain"])
def test_after_the_threshold_at_most_one_percent_is_exposed(
    migrated_database: str, kind: str, tell: Callable[[str], None]
) -> None:
    dsn = migrated_database
    approve_templates(dsn, acme())
    subscribe(dsn, AUDIENCE)
    plan = approved(dsn, acme())
    with ExitStack() as stack:
        # Where answers stay away, no statuses either: they would settle what is uncertain before we have counted it.
        told = (
            {"webhook_url": f"{stack.enter_context(running_webhook(dsn)).url}/status"}
            if kind == "failed"
            else {}
        )
        simulator = stack.enter_context(running_simulator(speed=1000, **told))
        register_templates(simulator, acme())
        with ThreadPoolExecutor(2) as pool:
            sending: list[Future[SendReport]] = [
                pool.submit(run, dsn, plan.campaign_id, simulator, worker) for worker in ("send-0", "send-1")
            ]
            simulator.wait_until(lambda stats: stats["accepted"] >= GOOD_BEFORE, seconds=60)
            break_it(simulator, kind)
            assert [future.result(timeout=60).ended for future in sending] == ["paused", "paused"]
        time.sleep(0.5)  # whoever was on the way has arrived, and been recorded
    threshold = passed(results(dsn, kind), LIMITS.max_failed if kind == "failed" else LIMITS.max_uncertain)
    assert threshold is not None, "the brakes were pulled without a reason"
    with connect(dsn) as conn:
        row = conn.execute(
            "select count(*) as n, count(*) filter (where claimed_at > %s) as exposed from campaign_message "
            "where state not in ('planned', 'excluded')",
            (threshold,),
        ).fetchone()
    assert row is not None
    share = row["exposed"] / AUDIENCE
    told_share = (
        f"{row['exposed']} of {AUDIENCE} exposed after the threshold ({share:.2%}), {row['n']} in all"
    )
    tell(f"{kind}: {told_share}")
    assert share <= 0.01


def break_it(simulator: Simulator, kind: str) -> None:
    """From now on every message fails afterwards, or every answer stays away."""
    if kind == "uncertain":
        simulator.faults({"kind": "reset_after_body"})
        return
    template = acme().template("spring_sale")
    simulator.template(
        namespace=template.namespace,
        element_name=template.name,
        language="nl",
        category="MARKETING",
        body_variables=5,  # CM.com takes the message, Meta refuses it: the wrong number of parameters
        status="APPROVED",
    )


def results(dsn: str, kind: str) -> list[tuple[datetime, bool]]:
    """When each result was recorded, and whether it was a bad one."""
    with connect(dsn) as conn:
        if kind == "failed":
            rows = conn.execute(
                "select recorded_at as at, status <> 'delivered' as bad from message_event "
                "where status in ('delivered', 'failed', 'rejected') order by recorded_at"
            ).fetchall()
        else:
            rows = conn.execute(
                "select updated_at as at, state = 'uncertain' as bad from campaign_message "
                "where state not in ('planned', 'sending', 'excluded') order by updated_at"
            ).fetchall()
    return [(row["at"], row["bad"]) for row in rows]


def passed(rows: Iterable[tuple[datetime, bool]], limit: float) -> datetime | None:
    """When the share of bad ones among the last results was first above the limit."""
    last: deque[bool] = deque(maxlen=LIMITS.last)
    for at, bad in rows:
        last.append(bad)
        if len(last) >= LIMITS.least and sum(last) / len(last) > limit:
            return at
    return None
