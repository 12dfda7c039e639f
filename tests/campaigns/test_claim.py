"""What the claim itself asks again of a plan: budget, the template's state; and what a plan keeps as it was."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cm_com.messenger import CmComMessenger

from include.campaigns.errors import PlanChanged
from include.campaigns.sender import SendSettings, send
from include.campaigns.states import approve
from include.database import connect
from include.entities import Entity, load_entity
from tests.support.campaigns import (
    LINK_KEY,
    acme,
    approved,
    planned,
    register_templates,
    run,
    settings,
    states,
    subscribe,
)
from tests.support.simulator import Simulator, running_simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with running_simulator(speed=1000) as running:
        register_templates(running, acme())
        yield running


def execute(dsn: str, statement: str, *values: Any) -> list[dict[str, Any]]:
    with connect(dsn) as conn:
        cursor = conn.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


def rate(dsn: str, price: float, *, day: str = "2026-01-01") -> None:
    execute(dsn, "insert into rate values (%s, '**', 'marketing', %s, 'EUR')", day, price)


def test_a_price_that_rose_after_the_plan_is_held_against_the_budget_by_two_workers(
    dsn: str, simulator: Simulator
) -> None:
    subscribe(dsn, 400)
    rate(dsn, 0.01)
    plan = approved(dsn, acme(), budget=4)
    assert plan.planned == 400
    rate(dsn, 0.02, day="2026-02-01")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: run(dsn, plan.campaign_id, simulator, worker=name), ("send-0", "send-1")))
    assert states(dsn, plan.campaign_id) == {"accepted": 200, "excluded": 200}
    assert simulator.stats()["accepted"] == 200
    (spent,) = execute(dsn, "select spent from campaign")
    assert float(spent["spent"]) == pytest.approx(4)
    assert execute(dsn, "select distinct reason from campaign_message where state = 'excluded'") == [
        {"reason": "over_budget"}
    ]


@pytest.mark.parametrize("per_second", [1000, 10_000], ids=["ten at a time", "all at once"])
def test_what_was_refused_is_not_paid_and_makes_room_for_others(
    dsn: str, simulator: Simulator, per_second: int
) -> None:
    subscribe(dsn, 100)
    rate(dsn, 0.05)
    plan = approved(dsn, acme(), budget=5)
    rate(dsn, 0.06, day="2026-02-01")  # five euros are 83 messages now
    execute(
        dsn, "update subscription set phone = '+12' where id % 5 = 0"
    )  # cannot be sent, and so is rejected
    run(dsn, plan.campaign_id, simulator, rate=per_second)
    assert states(dsn, plan.campaign_id) == {"accepted": 80, "rejected": 20}


def test_no_row_is_claimed_whose_template_is_not_approved_now(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 20, language="nl")
    subscribe(dsn, 20, first=100, language="fr")
    plan = approved(dsn, acme())
    execute(dsn, "update template set status = 'PAUSED' where name = 'spring_sale' and language = 'nl'")
    assert run(dsn, plan.campaign_id, simulator).ended == "paused"
    sent = {message["language"] for message in texts(simulator)}
    assert sent <= {"fr"}
    assert states(dsn, plan.campaign_id)["planned"] >= 20


def texts(simulator: Simulator) -> list[dict[str, Any]]:
    found = []
    for message in simulator.messages():
        template = message["message"]["richContent"]["conversation"][0]["template"]["whatsapp"]
        found.append({"language": template["language"]["code"], "components": template["components"]})
    return found


def test_what_was_approved_is_sent_whatever_the_files_say_later(
    dsn: str, simulator: Simulator, tmp_path: Path
) -> None:
    subscribe(dsn, 5)
    plan = approved(dsn, acme())
    folder = tmp_path / "acme"
    shutil.copytree(acme().folder, folder)
    file = folder / "templates" / "spring_sale.yaml"
    file.write_text(file.read_text().replace("payload: STOP", "payload: OTHER"))
    changed: Entity = load_entity("acme", tmp_path)
    chosen = SendSettings(worker="send-0", messages_per_second=1000, link_key=LINK_KEY)
    send(changed, plan.campaign_id, lambda: CmComMessenger(settings(simulator)), chosen, dsn=dsn)
    assert "OTHER" not in str(texts(simulator))
    assert "STOP" in str(texts(simulator))
    assert planned(dsn, changed, run_key="run-2").plan_hash != plan.plan_hash


@pytest.mark.parametrize(
    "change",
    [
        'update campaign_message set variables = \'["Eve", "X"]\' where subscription_id = 1',
        "update campaign_message set language = 'fr' where subscription_id = 1",
        "update campaign_message set variant = 'b' where subscription_id = 1",
        "delete from campaign_message where subscription_id = 1",
        "update campaign set parameters = jsonb_set(parameters, '{header_media_url}', '\"https://x.test/a.png\"')",
    ],
)
def test_an_approval_is_void_when_anything_of_the_plan_changed(dsn: str, change: str) -> None:
    subscribe(dsn, 3)
    plan = planned(dsn, acme())
    execute(dsn, change)
    with pytest.raises(PlanChanged, match="Start a new run"):
        approve(
            dsn=dsn,
            campaign_id=plan.campaign_id,
            plan_hash=plan.plan_hash,
            approved_by="tests",
            now=datetime.now(UTC),
        )
    assert execute(dsn, "select state, approved_by from campaign") == [
        {"state": "planned", "approved_by": None}
    ]


def test_the_same_choices_started_twice_reach_everybody_once(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 50)
    with ThreadPoolExecutor(2) as pool:
        plans = list(
            pool.map(
                lambda key: approved(dsn, acme(), run_key=key, name="Twice", max_messages_per_week=50),
                ("a", "b"),
            )
        )
    assert sorted((plan.planned, plan.excluded.get("already_planned", 0)) for plan in plans) == [
        (0, 50),
        (50, 0),
    ]
    for plan in plans:
        run(dsn, plan.campaign_id, simulator)
    assert simulator.stats()["accepted"] == 50
    assert simulator.stats()["duplicate_recipients"] == 0


def test_two_campaigns_at_once_never_go_past_the_weekly_cap(dsn: str, simulator: Simulator) -> None:
    subscribe(dsn, 3000)
    plans = [approved(dsn, acme(), run_key=key, max_messages_per_week=1) for key in ("run-1", "run-2")]
    assert [plan.planned for plan in plans] == [3000, 3000], "both are planned before either is sent"
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda plan: run(dsn, plan.campaign_id, simulator), plans))
    assert simulator.stats()["accepted"] == 3000
    total = Counter(states(dsn, plans[0].campaign_id)) + Counter(states(dsn, plans[1].campaign_id))
    assert total == {"accepted": 3000, "excluded": 3000}
    assert execute(
        dsn,
        "select max(n) as most from (select count(*) as n from campaign_message "
        "where state = 'accepted' group by subscription_id) a",
    ) == [{"most": 1}]


def test_everybody_gets_the_language_that_fits_best(dsn: str) -> None:
    for first, language in enumerate(["nl", "nl_BE", "fr_CA", "it", None]):
        subscribe(dsn, 1, first=first * 10, language=language)
    planned(dsn, acme())
    planned(dsn, acme(), run_key="run-2", language="de", max_messages_per_week=9)
    found = execute(
        dsn,
        "select campaign_id, array_agg(language order by subscription_id) as l "
        "from campaign_message group by 1 order by 1",
    )
    assert [row["l"] for row in found] == [["nl", "nl", "fr", "en", "en"], ["de"] * 5]


def test_numbers_that_get_no_marketing_are_left_out_with_their_reason(dsn: str) -> None:
    subscribe(dsn, 2)
    subscribe(dsn, 1, first=10, country="US")
    subscribe(dsn, 1, first=20)
    execute(dsn, "update subscription set phone = null where id = 4")
    assert planned(dsn, acme()).excluded == {"country_closed": 1, "invalid_number": 1}
