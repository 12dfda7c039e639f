"""Double opt-in: one question for each yes, to nobody but the people who are pending, and what their answers do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cm_com.messenger import CmComMessenger

from include.campaigns.confirm import APPROVED_BY, plan_confirmations
from include.campaigns.errors import ParametersInvalid
from include.campaigns.parameters import freeze
from include.campaigns.sender import SendSettings, send
from include.campaigns.states import cancel
from include.campaigns.templates import sync_templates
from include.database import connect
from include.entities import EntityProblems, Template, load_entity
from include.entities.models import Button, DoubleOptIn, Keywords, TemplateText
from include.inbound import Inbound, record_inbound
from include.subscriptions import expire_unconfirmed
from tests.support.campaigns import LINK_KEY, planned, register_templates, settings, states
from tests.support.optins import KEY, Store, entity, source
from tests.support.simulator import Simulator, running_simulator

NUMBER = "+32470123456"
BUTTON = Button(type="quick_reply", text="Yes, I do", payload="CONFIRM")
STOP = Button(type="quick_reply", text="No, stop", payload="STOP")
QUESTION = Template(
    name="confirm_optin",
    namespace="n",
    category="utility",
    fallback_text="Did you ask for our messages?",
    languages={"en": TemplateText(body="Did you ask for our messages?", buttons=(BUTTON, STOP))},
)
SALE = Template(
    name="sale",
    namespace="n",
    category="marketing",
    fallback_text="Sale",
    languages={"en": TemplateText(body="Sale!")},
)
BRAND = entity(
    source("form", double_opt_in=True),
    double_opt_in=DoubleOptIn(template="confirm_optin", within_days=7),
    keywords=Keywords(start_wording="w1"),
    sending_window=("00:00", "23:59"),
).model_copy(update={"templates": (QUESTION, SALE)})


@pytest.fixture
def store(migrated_database: str, tmp_path: Path) -> Store:
    sync_templates(BRAND, None, dsn=migrated_database, now=datetime.now(UTC))
    return Store(migrated_database, tmp_path)


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with running_simulator(db=tmp_path / "judge.db", speed=1000) as running:
        register_templates(running, BRAND)
        yield running


def say_yes(store: Store, at: datetime, people: int = 1, consent: str = "yes") -> None:
    rows = [(str(n), f"+3247012{3456 + n:04d}", consent, at.isoformat(), "en", "", "") for n in range(people)]
    store.sync(BRAND, rows, now=at)


def ask(store: Store, run_key: str, *, now: datetime | None = None) -> int:
    """How many people this run asks."""
    plan = plan_confirmations(BRAND, dsn=store.dsn, run_key=run_key, now=now or datetime.now(UTC))
    return plan.planned if plan else 0


def deliver(store: Store, simulator: Simulator) -> int:
    """Send every confirmation that is planned; how many the simulator accepted by now."""
    for row in store.rows("select id from campaign where parameters ? 'confirms' order by id"):
        chosen = SendSettings(worker="send-0", messages_per_second=1000, link_key=LINK_KEY)
        send(BRAND, row["id"], lambda: CmComMessenger(settings(simulator)), chosen, dsn=store.dsn)
    accepted: int = simulator.stats()["accepted"]
    return accepted


def sent(store: Store, at: datetime) -> None:
    """As if every planned question had left at this time."""
    store.execute(
        "update campaign_message set state = 'accepted', claimed_at = %s, accepted_at = %s where state = 'planned'",
        at,
        at,
    )


def answer(store: Store, text: str, at: datetime, **more: Any) -> None:
    message = Inbound(
        number=NUMBER, occurred_at=at, source="webhook", key=f"{text}{at}", text=text, raw={}, **more
    )
    with connect(store.dsn) as conn:
        record_inbound(conn, [message], entities=[BRAND], suppression_key=KEY)


def test_a_yes_on_a_form_is_asked_about_once_and_counts_when_it_is_confirmed(
    store: Store, simulator: Simulator
) -> None:
    now = datetime.now(UTC)
    say_yes(store, now - timedelta(hours=1))
    assert store.people() == {NUMBER: "pending"}
    nobody = planned(store.dsn, BRAND, template="sale", run_key="before")
    assert (nobody.planned, nobody.excluded) == (0, {"no_consent": 1})
    assert ask(store, "run-1") == 1
    assert deliver(store, simulator) == 1
    assert ask(store, "run-1") == 1, "the same run is the same campaign"
    assert ask(store, "run-2") == 0
    assert deliver(store, simulator) == 1
    (campaign,) = store.rows("select * from campaign where parameters ? 'confirms'")
    assert campaign["approved_by"] == APPROVED_BY
    assert store.value(
        "select s.consent_event_id = m.consent_event_id from subscription s join campaign_message m "
        "on m.subscription_id = s.id where m.state = 'accepted'"
    ), "the message leads to the yes that allowed it"
    reference = store.value("select reference from campaign_message where state = 'accepted'")
    answer(store, "Yes, I do", now, payload="CONFIRM", reference=reference)
    assert store.people() == {NUMBER: "subscribed"}
    (proof,) = store.rows("select * from v_consent where is_present_state")
    asked = store.value("select id from consent_event where needs_confirmation")
    assert (proof["action"], proof["method"], proof["wording_id"]) == ("confirm", "double opt-in", "w1")
    assert (proof["wording"], proof["evidence_ref"]) == ("Yes, please.", f"consent_event:{asked}")
    assert planned(store.dsn, BRAND, template="sale", name="After", run_key="after").planned == 1


def test_several_plans_at_once_ask_everybody_once(store: Store) -> None:
    say_yes(store, datetime.now(UTC), people=300)
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda n: ask(store, f"run-{n}"), range(4)))
    assert sum(counts) == 300
    assert store.value("select count(*) from campaign_message where state = 'planned'") == 300


def test_whoever_confirmed_or_stopped_meanwhile_is_not_asked(store: Store, simulator: Simulator) -> None:
    now = datetime.now(UTC)
    say_yes(store, now - timedelta(hours=1), people=3)
    assert ask(store, "run-1") == 3
    answer(store, "START", now)
    say_yes(store, now, people=2, consent="no")
    assert deliver(store, simulator) == 1


@pytest.mark.parametrize(
    ("text", "more", "state"),
    [
        ("Yes, I do", {"payload": "CONFIRM"}, "subscribed"),
        ("yes i do", {}, "subscribed"),
        ("Ja graag!", {}, "subscribed"),
        ("START", {}, "subscribed"),
        ("Who are you?", {}, "pending"),
        ("yes but not now", {}, "pending"),
        ("No, stop", {"payload": "STOP"}, "unsubscribed"),
        ("stop", {}, "unsubscribed"),
    ],
)
def test_what_an_answer_does(store: Store, text: str, more: dict[str, str], state: str) -> None:
    now = datetime.now(UTC)
    say_yes(store, now - timedelta(hours=2))
    ask(store, "run-1")
    sent(store, now - timedelta(hours=1))
    answer(store, text, now, **more)
    assert store.people() == {NUMBER: state}
    answer(store, "stop", now + timedelta(minutes=1))
    assert store.people() == {NUMBER: "unsubscribed"}
    assert store.value("select count(*) from suppression") == 1


def test_a_yes_to_something_else_confirms_nothing(store: Store) -> None:
    now = datetime.now(UTC)
    say_yes(store, now - timedelta(hours=2))
    answer(store, "ja", now)
    assert store.people() == {NUMBER: "pending"}


def test_what_nobody_confirms_expires_and_a_newer_yes_is_asked_about_again(store: Store) -> None:
    now = datetime.now(UTC)
    say_yes(store, now - timedelta(days=20))
    store.execute("alter table consent_event disable trigger consent_event_append_only")
    store.execute("update consent_event set recorded_at = occurred_at")  # heard of at once
    store.execute("alter table consent_event enable trigger consent_event_append_only")
    ask(store, "run-1", now=now - timedelta(days=6))
    assert expire_unconfirmed(BRAND, dsn=store.dsn, now=now) == 0, "the question has not even left"
    sent(store, now - timedelta(days=6))
    assert expire_unconfirmed(BRAND, dsn=store.dsn, now=now) == 0
    say_yes(store, now - timedelta(days=2))
    assert ask(store, "run-2", now=now) == 0, "the first question can still be answered"
    later = now + timedelta(days=8)
    assert expire_unconfirmed(BRAND, dsn=store.dsn, now=later) == 1
    assert store.people() == {NUMBER: "expired"}
    assert ask(store, "run-3", now=later) == 0
    say_yes(store, later + timedelta(hours=1))
    assert store.people() == {NUMBER: "pending"}
    assert ask(store, "run-4", now=later + timedelta(hours=2)) == 1


def test_a_late_yes_is_still_the_persons_own(store: Store) -> None:
    now = datetime.now(UTC)
    say_yes(store, now - timedelta(hours=2))
    ask(store, "run-1")
    sent(store, now - timedelta(hours=1))
    assert expire_unconfirmed(BRAND, dsn=store.dsn, now=now + timedelta(days=8)) == 1
    answer(store, "Yes, I do", now + timedelta(days=9), payload="CONFIRM")
    assert store.people() == {NUMBER: "subscribed"}


def test_what_could_not_be_asked_is_tried_again_the_next_day(store: Store) -> None:
    now = datetime.now(UTC)
    say_yes(store, now)
    store.execute("update template set status = 'PAUSED' where name = 'confirm_optin'")
    plan = plan_confirmations(BRAND, dsn=store.dsn, run_key="run-1", now=now)
    assert plan is not None
    assert plan.excluded == {"template_not_available": 1}
    assert ask(store, "run-2", now=now + timedelta(hours=23)) == 0
    assert store.value("select count(*) from campaign") == 1, "and no empty campaign either"
    store.execute("update template set status = 'APPROVED'")
    assert ask(store, "run-3", now=now + timedelta(hours=25)) == 1
    campaign = store.value("select max(id) from campaign")
    assert cancel(dsn=store.dsn, campaign_id=campaign, reason="tests", now=now)
    assert states(store.dsn, campaign) == {"expired": 1}
    assert ask(store, "run-4", now=now + timedelta(hours=50)) == 1


def test_no_form_can_reach_the_people_who_are_pending() -> None:
    with pytest.raises(ParametersInvalid, match="confirms"):
        freeze(BRAND, {"name": "x", "template": "sale", "confirms": True})


@pytest.mark.parametrize(
    ("settings_lines", "source_lines", "problem"),
    [
        ("", "double_opt_in: true\n", "webshop.yaml:.* needs a message that asks"),
        ("double_opt_in: {template: spring_sale}\n", "", "no utility template"),
        ("double_opt_in: {template: order_update}\n", "", "no quick reply 'CONFIRM' in en"),
    ],
)
def test_the_check_names_what_is_missing(
    tmp_path: Path, settings_lines: str, source_lines: str, problem: str
) -> None:
    folder = tmp_path / "acme"
    shutil.copytree(load_entity("acme").folder, folder)
    for name, lines in (("entity.yaml", settings_lines), ("sources/webshop.yaml", source_lines)):
        (folder / name).write_text(lines + (folder / name).read_text())
    with pytest.raises(EntityProblems, match=problem):
        load_entity("acme", tmp_path)
