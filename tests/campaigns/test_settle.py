"""How a campaign ends: by its books, at its time, by a person; and what a sender asks about templates meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.campaigns import sender
from include.campaigns.parameters import freeze, needs_approval
from include.campaigns.settle import settle
from include.campaigns.states import cancel, pause, paused_for, resume
from include.database import connect
from include.message_log import StatusEvent, apply_events
from include.reports import funnel, report_text
from tests.campaigns.test_audience import entity_with
from tests.support.campaigns import (
    acme,
    approved,
    run,
    states,
    subscribe,
)
from tests.support.simulator import Simulator

NOW = datetime.now(UTC)


def test_a_paused_campaign_ends_when_its_time_is_over(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 5)
    plan = approved(dsn, acme())
    pause(dsn=dsn, campaign_id=plan.campaign_id, reason="tests", now=NOW, by="ann")
    assert run(dsn, plan.campaign_id, simulator).ended == "paused"
    still = settle(plan.campaign_id, dsn=dsn, now=NOW)
    assert (still.state, still.open) == ("paused", 5), "a pause is a state, not an end"
    with connect(dsn) as conn:
        conn.execute("update campaign set expires_at = now() - interval '1 second'")
    assert run(dsn, plan.campaign_id, simulator).ended == "done", "its run does not wait for ever"
    over = settle(plan.campaign_id, dsn=dsn, now=NOW)
    assert (over.state, over.reason, over.open) == ("sent", "tests", 0)
    assert states(dsn, plan.campaign_id) == {"expired": 5}
    assert simulator.stats()["messages"] == 0


def test_what_comes_back_unsent_after_a_cancel_is_closed(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 5)
    plan = approved(dsn, acme())
    with connect(dsn) as conn:
        conn.execute("update campaign set state = 'sending'")
        conn.execute(
            "update campaign_message set state = 'sending', claimed_at = now() where subscription_id = 1"
        )
    assert cancel(dsn=dsn, campaign_id=plan.campaign_id, reason="wrong text", now=NOW, by="ann")
    assert states(dsn, plan.campaign_id) == {"expired": 4, "sending": 1}
    with connect(dsn) as conn:
        conn.execute(
            "update campaign_message set state = 'planned', claimed_at = null where state = 'sending'"
        )
    assert run(dsn, plan.campaign_id, simulator).ended == "cancelled"
    assert settle(plan.campaign_id, dsn=dsn, now=NOW).open == 0
    assert states(dsn, plan.campaign_id) == {"expired": 5}


def test_how_long_a_pause_lasts(dsn: str) -> None:
    subscribe(dsn, 1)
    plan = approved(dsn, acme())
    now = datetime.now(UTC)
    assert paused_for(dsn=dsn, campaign_id=plan.campaign_id, now=now) == timedelta(0)
    pause(dsn=dsn, campaign_id=plan.campaign_id, reason="tests", now=now)
    later = now + timedelta(hours=3)
    assert paused_for(dsn=dsn, campaign_id=plan.campaign_id, now=later) == timedelta(hours=3)
    resume(dsn=dsn, campaign_id=plan.campaign_id, now=later)
    assert paused_for(dsn=dsn, campaign_id=plan.campaign_id, now=later) == timedelta(0)


def test_a_template_that_cm_com_pauses_is_noticed_while_sending(
    dsn: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(dsn, 4000)
    plan = approved(dsn, acme())
    monkeypatch.setattr(sender, "TEMPLATES_EVERY", 0.5)
    asked: list[bool] = []

    def ask() -> None:
        asked.append(True)
        if len(asked) == 1:
            raise OSError("CM.com is away")  # what was known holds
        with connect(dsn) as conn:
            conn.execute("update template set status = 'PAUSED' where name = 'spring_sale'")

    assert run(dsn, plan.campaign_id, simulator, ask_templates=ask).ended == "paused"
    assert len(asked) == 2
    assert simulator.stats()["accepted"] < 2000


def test_people_are_counted_by_the_attempt_that_reached_them(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 10)
    plan = approved(dsn, acme(), attempts=3)
    run(dsn, plan.campaign_id, simulator)
    tell(dsn, ["failed"] * 4 + ["delivered"] * 6)
    run(dsn, plan.campaign_id, simulator)
    with connect(dsn) as conn:
        conn.execute("update campaign_message set not_before = now() where state = 'planned'")
    run(dsn, plan.campaign_id, simulator)
    tell(dsn, ["failed"] + ["delivered"] * 3, code=131026)
    with connect(dsn) as conn:
        figures = funnel(conn, plan.campaign_id, live=True)
    assert (figures.attempts, figures.failed) == ([(1, 6), (2, 3)], 1)
    assert "attempt 1: 6 · attempt 2: 3 · given up: 1" in report_text(figures)


def tell(dsn: str, statuses: list[str], *, code: int = 131049) -> None:
    """A final status for each accepted message."""
    now = datetime.now(UTC)
    with connect(dsn) as conn:
        rows = conn.execute(
            "select reference from campaign_message where state = 'accepted' order by 1"
        ).fetchall()
        events = [
            StatusEvent(
                reference=row["reference"],
                status=status,  # type: ignore[arg-type]
                error_code=code if status == "failed" else None,
                occurred_at=now,
                source="webhook",
            )
            for row, status in zip(rows, statuses, strict=True)
        ]
        apply_events(conn, events, entities=["acme"], now=now)


def test_only_a_few_given_recipients_of_a_utility_template_go_without_a_person(tmp_path: Path) -> None:
    text = (acme().folder / "entity.yaml").read_text()
    entity = entity_with(tmp_path, entity=text + "unapproved_recipients: 2\n")
    people = [
        {"source": "webshop", "record_id": f"r{n}", "variables": {"order_number": "7"}} for n in range(3)
    ]

    def asks(given: list[dict[str, object]], template: str = "order_update", of: object = entity) -> bool:
        raw = {"name": "x", "template": template, "recipients": given}
        return needs_approval(of, freeze(of, raw))  # type: ignore[arg-type]

    assert not asks(people[:2])
    assert asks(people)
    assert asks([]), "a whole segment is never sent to without a person"
    assert asks(people[:1], "spring_sale")
    assert asks(people[:1], of=acme()), "off by default"
