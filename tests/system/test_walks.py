"""`dag.test()` walks through every Dag on real parts: the books, the cap, privacy, who may what, bad input."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.campaigns.states import resume
from include.database import connect
from include.entities import load_entity
from include.local import books
from include.local.http import HttpRefused, request_json
from include.local.systems import ACCOUNT, SENDER
from include.optins import pull
from include.reports import campaigns, funnel
from include.simulator.sample import expected
from include.subscriptions import reconcile
from tests.system.conftest import PEOPLE
from tests.system.leaks import database_text, forms, log_texts, numbers_in
from tests.system.walker import Company, Walk, Walker, rewrite

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1200)]
CAMPAIGN = {
    "name": "Spring",
    "template": "spring_sale",
    "segment": "everyone",
    "dry_run": False,
    "workers": 2,
}
CHAIN = ("pull_optins", "reconcile_subscriptions", "sync_templates", "send_campaign")
AFTERWARDS = ("pull_message_logs", "propagate_optouts", "compare_optins", "refresh_reports", "privacy")


@pytest.fixture(scope="module")
def walked(company: Company) -> dict[str, Walk]:
    """Every Dag once, in the order of a first day."""
    runs = {verb: company.walk(verb, CAMPAIGN if verb == "send_campaign" else None) for verb in CHAIN}
    company.systems.wait_for_answers()
    return runs | {verb: company.walk(verb) for verb in AFTERWARDS}


def test_every_dag_succeeds_at_the_first_try(walked: dict[str, Walk]) -> None:
    for verb, run in walked.items():
        assert run.state == "success", (verb, run.states, run.printed)
        tries = {run.tries[task] for task, state in run.states.items() if state != "skipped"}
        assert tries == {1}, verb


def test_the_books_balance_to_the_last_person(company: Company, walked: dict[str, Walk]) -> None:
    with connect(company.dsn) as conn:
        newest = campaigns(conn, "acme", most=1)[0]
        assert books.problems(funnel(conn, newest["id"]), company.systems.stats(), _expected(company)) == []
    campaign = company.campaign(walked["send_campaign"].run_id)
    assert campaign["state"] in ("sent", "settled")
    assert campaign["approved_by"] == "approver"


def test_whoever_said_no_is_a_no_in_every_source(company: Company, walked: dict[str, Walk]) -> None:
    told = walked["propagate_optouts"].returned
    assert sum(each["done"] for each in told.values()) > 0, told
    assert {each["due"] for each in told.values()} == {0}, told
    with connect(company.dsn) as conn:
        left = conn.execute("select count(*) as n from optout_outbox where state <> 'done'").fetchone()
        before = _subscribed(conn)
    assert left == {"n": 0}
    # What the sources now say of everybody changes nobody.
    assert company.walk("pull_optins").state == "success"
    again = company.walk("reconcile_subscriptions")
    assert again.state == "success", again.printed
    with connect(company.dsn) as conn:
        assert _subscribed(conn) == before


def test_a_second_run_of_the_same_form_is_held_by_the_frequency_cap(
    company: Company, walked: dict[str, Walk]
) -> None:
    first = company.campaign(walked["send_campaign"].run_id)
    sent = company.systems.stats()
    second = company.walk("send_campaign", {**CAMPAIGN, "dry_run": True})
    assert (second.state, second.states["send"]) == ("success", "skipped"), second.printed
    campaign = company.campaign(second.run_id)
    assert campaign["id"] != first["id"]
    assert (campaign["state"], campaign["state_reason"]) == ("cancelled", "dry_run")
    with connect(company.dsn) as conn:
        twice = conn.execute(
            """
            select count(*) filter (where b.reason = 'frequency_cap') as capped,
                   count(*) filter (where b.state <> 'excluded') as planned
            from campaign_message a join campaign_message b using (subscription_id)
            where a.campaign_id = %s and b.campaign_id = %s and a.state in ('accepted', 'delivered', 'read')
            """,
            (first["id"], campaign["id"]),
        ).fetchone()
    assert twice is not None
    assert (twice["planned"], twice["capped"] > 0) == (0, True)
    assert company.systems.stats()["messages"] == sent["messages"]


def test_an_erased_person_is_gone_and_stays_gone(company: Company, walked: dict[str, Walk]) -> None:
    with connect(company.dsn) as conn:
        person = conn.execute(
            "select s.phone, r.source_record_id from subscription s join consent_event r on r.subscription_id = s.id "
            "where r.source = 'webshop' and s.status = 'subscribed' order by s.id limit 1"
        ).fetchone()
    assert person is not None
    run = company.walk("privacy", {"source": "webshop", "record_id": person["source_record_id"]})
    assert (run.state, run.returned["erase_person"]) == ("success", 1), run.printed
    assert numbers_in(database_text(company.dsn), forms([person["phone"]])) == set()
    # The shop still has the record, and says so again.
    with psycopg.connect(company.webshop) as shop:
        shop.execute(
            "update customers set updated_at = now() where customer_id = %s", (person["source_record_id"],)
        )
    assert company.walk("pull_optins").state == "success"
    assert company.walk("reconcile_subscriptions").state == "success"
    with connect(company.dsn) as conn:
        again = conn.execute("select count(*) as n from subscription where phone = %s", (person["phone"],))
        assert again.fetchone() == {"n": 0}


def test_people_see_and_start_what_is_theirs(company: Company, walked: dict[str, Walk]) -> None:
    send, pull = "send_campaign__acme", "pull_optins__acme"
    may: dict[str, dict[str, int]] = {
        user: {
            "list": _asked(company, user, "GET", "dags"),
            "read": _asked(company, user, "GET", f"dags/{send}"),
            "runs": _asked(company, user, "GET", f"dags/{send}/dagRuns"),
            "send": _asked(company, user, "POST", f"dags/{send}/dagRuns", _form(CAMPAIGN)),
            "pull": _asked(company, user, "POST", f"dags/{pull}/dagRuns", _form()),
        }
        for user in ("", "marketer", "approver", "analyst", "stripes")
    }
    assert may == {
        "": {"list": 401, "read": 401, "runs": 401, "send": 401, "pull": 401},
        "marketer": {"list": 200, "read": 200, "runs": 200, "send": 200, "pull": 403},
        "approver": {"list": 200, "read": 200, "runs": 200, "send": 403, "pull": 403},
        "analyst": {"list": 200, "read": 200, "runs": 200, "send": 403, "pull": 403},
        "stripes": {"list": 200, "read": 403, "runs": 403, "send": 403, "pull": 403},
    }
    seen = {dag["dag_id"] for dag in company.api("stripes").get("dags")["dags"]}
    assert seen
    assert not {dag_id for dag_id in seen if dag_id.endswith("__acme")}
    # Those who tried to approve the campaign before the approver did.
    assert company.answers == {"analyst": 403, "marketer": 403, "stripes": 403}


def test_the_form_refuses_what_the_entity_does_not_have(company: Company) -> None:
    for field, value in (("template", "spring_sail"), ("segment", "nobody"), ("workers", 50), ("name", "")):
        body = _form({**CAMPAIGN, field: value})
        with pytest.raises(HttpRefused, match=field) as refused:
            company.api("marketer").post("dags/send_campaign__acme/dagRuns", body)
        assert refused.value.status == 400


def test_what_cm_com_says_of_a_template_is_asked_when_a_campaign_is_planned(
    company: Company, migrated_database: str
) -> None:
    here = {"AIRFLOW_CONN_WHATSAPP_DB": migrated_database}
    run = company.walk("send_campaign", {**CAMPAIGN, "dry_run": True}, environment=here)
    assert (run.state, run.states["plan"]) == ("success", "success"), run.printed
    with connect(migrated_database) as conn:
        states = conn.execute("select distinct status from template").fetchall()
    assert [row["status"] for row in states] == ["APPROVED"], "although sync_templates never ran here"


def test_a_file_without_a_column_fails_its_source_alone(company: Company, migrated_database: str) -> None:
    here = {"AIRFLOW_CONN_WHATSAPP_DB": migrated_database}
    survey = company.instance.folder / "drop" / "survey_2.csv"
    content = rewrite(survey, "phone", "telephone")
    try:
        run = company.walk("pull_optins", environment=here)
    finally:
        survey.write_text(content)
    failed = {name for name, state in run.states.items() if state == "failed"}
    assert (run.state, len(failed)) == ("failed", 1), run.states
    assert run.tries[failed.pop()] == 1, "the same file again would not help"
    assert run.states["announce"] == "success", "the other sources' records go on"
    assert "'phone'" in run.printed
    with connect(migrated_database) as conn:
        staged = conn.execute(
            "select distinct r.source from optin_staging s join sync_run r on r.id = s.sync_run_id order by 1"
        ).fetchall()
    assert [row["source"] for row in staged] == ["preference_centre", "webshop"], "nothing of half a file"


def test_a_database_that_is_away_is_asked_again(company: Company, walked: dict[str, Walk]) -> None:
    nowhere = "postgresql://whatsapp:secret@127.0.0.1:9/whatsapp"
    run = company.walk(
        "refresh_reports",
        environment={"AIRFLOW_CONN_WHATSAPP_DB": nowhere},
        cured_by={"AIRFLOW_CONN_WHATSAPP_DB": company.dsn},
    )
    assert (run.state, run.tries["refresh"]) == ("success", 2), run.printed
    assert "127.0.0.1" in run.printed
    assert "secret" not in run.printed


def test_a_gateway_that_is_away_is_asked_again(company: Company, walked: dict[str, Walk]) -> None:
    run = company.walk(
        "sync_templates",
        environment={"AIRFLOW_CONN_CM_COM_ACME": _integration("http://127.0.0.1:9")},
        cured_by={"AIRFLOW_CONN_CM_COM_ACME": company.systems.connections["cm_com_acme"]},
    )
    assert (run.state, run.tries["sync"]) == ("success", 2), run.printed


@pytest.fixture
def later(company: Company, walked: dict[str, Walk]) -> Iterator[None]:
    """Everybody may get a message again."""
    company.let_a_week_pass()
    yield
    company.let_a_week_pass()


@pytest.mark.usefixtures("later")
def test_a_token_that_ends_pauses_the_campaign_until_it_is_right(company: Company, tmp_path: Path) -> None:
    before, found = company.systems.stats(), {}
    # An entity whose templates are not asked for meets its token for the first time when it sends.
    entities = shutil.copytree(company.server.folder / "entities", tmp_path / "entities")
    with (entities / "acme" / "entity.yaml").open("a") as file:
        file.write("template_state: assumed\n")

    def remedy() -> None:
        campaign = company.newest()
        if campaign["name"] == "Wrong token" and campaign["state"] == "paused":
            found.update(campaign, sent=company.systems.stats()["messages"] - before["messages"])
            new = {"token": LATE_TOKEN, "account": "99999999-9999-4999-8999-999999999999"}
            request_json(company.systems.simulator + "/_sim/accounts", "POST", new)
            assert resume(dsn=company.dsn, campaign_id=campaign["id"], now=datetime.now(UTC))

    here = {
        "AIRFLOW_CONN_CM_COM_ACME": _integration(company.systems.simulator, LATE_TOKEN),
        "WHATSAPP_ENTITIES": str(entities),
    }
    conf = {**CAMPAIGN, "name": "Wrong token", "workers": 1}
    run = company.walk("send_campaign", conf, also=remedy, environment=here)
    assert "token" in found["state_reason"]
    assert set(found["rows"]) == {"planned", "excluded"}, "nobody is in doubt or lost"
    assert found["sent"] == 0
    campaign = company.campaign(run.run_id)
    assert (run.state, campaign["state"]) == ("success", "sent"), run.printed
    sent = company.systems.stats()
    assert sent["accepted"] - before["accepted"] == found["rows"]["planned"]
    assert sent["duplicate_recipients"] == 0
    assert LATE_TOKEN not in run.printed


def test_the_connections_test_names_what_is_wrong(company: Company) -> None:
    told = {}
    for what, connection in (
        ("right", company.systems.connections["cm_com_acme"]),
        ("token", _integration(company.systems.simulator)),
        ("away", _integration("http://127.0.0.1:9")),
    ):
        fields = json.loads(connection)
        body = {**fields, "connection_id": "tried", "extra": json.dumps(fields["extra"])}
        told[what] = company.api("admin").post("connections/test", body)
    assert told["right"]["status"] is True, told
    assert (told["token"]["status"], told["away"]["status"]) == (False, False)
    assert "token" in told["token"]["message"].lower()
    assert WRONG_TOKEN not in str(told)


def test_what_the_guard_holds_waits_for_an_answer(company: Company, walked: dict[str, Walk]) -> None:
    settings = company.server.folder / "entities" / "acme" / "entity.yaml"
    content = rewrite(settings, "max_share: 0.25\n  min_people: 20000", "max_share: 0.01\n  min_people: 10")
    try:
        before = _leave_the_webshop(company, 5)
        held = company.walk("reconcile_subscriptions", answer="Reject")
        assert (held.states["ask"], held.states["release"], held.state) == ("success", "failed", "failed")
        with connect(company.dsn) as conn:
            assert _subscribed(conn) == before
        released = company.walk("reconcile_subscriptions", {"release": True})
        assert (released.state, released.states["ask"]) == ("success", "skipped"), released.printed
        with connect(company.dsn) as conn:
            assert _subscribed(conn)["subscribed"] == before["subscribed"] - 5
            by = conn.execute("select distinct released_by from sync_run where released_by is not null")
            assert len(by.fetchall()) == 1
        _leave_the_webshop(company, 6)
        # Said, since the walker's Dag object remembers what the run before it was given.
        approved = company.walk("reconcile_subscriptions", {"release": False})
        assert approved.state == "success", approved.printed
        assert approved.returned["release"]["unsubscribed"] == 6
        with connect(company.dsn) as conn:
            assert _subscribed(conn)["subscribed"] == before["subscribed"] - 11
            newest = conn.execute(
                "select released_by from sync_run where released_by is not null order by id desc"
            )
            assert newest.fetchone() == {"released_by": "approver"}
    finally:
        settings.write_text(content)


ON_THE_FORM = ("+32470990001", "+32470990002")
QUESTION = """\
name: confirm_optin
namespace: 5f3c1a2b_acme
category: utility
fallback_text: Did you ask for our messages?
languages:
  en:
    body: Did you ask for our messages?
    buttons: [{type: quick_reply, text: "Yes, I do", payload: CONFIRM}]
"""
FORM = """\
name: form
kind: file
connection: whatsapp_form
columns: {record_id: id, phone: phone, consent: ok, changed_at: at}
wording: signup-2026-01
collection_point: a form
double_opt_in: true
options: {pattern: "form*.csv"}
"""


@pytest.fixture
def with_a_form(company: Company, walked: dict[str, Walk], tmp_path: Path) -> Iterator[Walker]:
    """The company with one more source, whose people have to confirm, and two of them."""
    entities = shutil.copytree(company.server.folder / "entities", tmp_path / "entities")
    with (entities / "acme" / "entity.yaml").open("a") as file:
        file.write("double_opt_in: {template: confirm_optin}\n")
    (entities / "acme" / "templates" / "confirm_optin.yaml").write_text(QUESTION)
    (entities / "acme" / "sources" / "form.yaml").write_text(FORM)
    (tmp_path / "drop").mkdir()
    moment = datetime.now(UTC).isoformat()
    rows = [f"{n},{number},yes,{moment}\n" for n, number in enumerate(ON_THE_FORM)]
    (tmp_path / "drop" / "form.csv").write_text("id,phone,ok,at\n" + "".join(rows))
    template = {
        "namespace": "5f3c1a2b_acme",
        "element_name": "confirm_optin",
        "language": "en",
        "category": "UTILITY",
        "body_variables": 0,
        "buttons": [{"type": "quick_reply", "text": "Yes, I do", "variable": False}],
        "status": "APPROVED",
    }
    request_json(company.systems.simulator + "/_sim/templates", "POST", template)
    # Not by the Dags, which other walks go through: each walk takes its seconds.
    entity = load_entity("acme", entities)
    key = company.instance.secrets.suppression_key.encode()
    now = datetime.now(UTC)
    pull(entity, entity.source("form"), tmp_path / "drop", dsn=company.dsn, run_key="form", now=now)
    assert reconcile(entity, dsn=company.dsn, key=key, now=now).people["pending"] == 2
    walker = Walker({**company.walker.env, "WHATSAPP_ENTITIES": str(entities)})
    yield walker
    walker.close()


def test_whoever_said_yes_on_a_form_is_asked_once(company: Company, with_a_form: Walker) -> None:
    before = company.systems.stats()["accepted"]
    asked = with_a_form.walk("confirm_optins__acme")
    assert (asked.state, asked.states["plan"]) == ("success", "success"), asked.printed
    assert asked.returned["plan"]["planned"] == 2
    assert asked.returned["settle"]["state"] in ("sent", "settled")
    again = with_a_form.walk("confirm_optins__acme")
    assert (again.state, again.states["plan"], again.states["send"]) == ("success", "skipped", "skipped")
    assert company.systems.stats()["accepted"] == before + 2, "one question for each yes"


def test_a_no_that_a_source_forgot_is_an_alarm(company: Company, walked: dict[str, Walk]) -> None:
    assert company.walk("propagate_optouts").state == "success"
    with psycopg.connect(company.webshop) as shop, connect(company.dsn) as conn:
        told = conn.execute(
            "update optout_outbox set done_at = now() - interval '1 day' where source = 'webshop' and state = 'done' "
            "returning source_record_id"
        ).fetchall()
        record = told[0]["source_record_id"]
        shop.execute(
            "update customers set whatsapp_optin = true, optin_changed_at = '2020-01-01' where customer_id = %s",
            (record,),
        )
    found = company.walk("compare_optins")
    assert found.state == "failed"
    assert "1 people withdrew here and say yes there: 1 are told again" in found.printed
    assert company.walk("propagate_optouts").state == "success"
    assert company.walk("compare_optins").state == "success"


def test_nothing_private_is_in_airflow(company: Company, walked: dict[str, Walk]) -> None:
    """Its whole metadata database (XComs, rendered fields, Dag runs, audit log), all logs, all that was printed."""
    sample, secrets = company.systems.sample, company.instance.secrets
    assert len(sample.numbers) > PEOPLE / 2
    known = forms(sample.numbers)
    assert numbers_in(database_text(company.metadata), known) == set()
    assert numbers_in(database_text(company.dsn), known), "the search finds what is there"
    texts: list[tuple[Any, str]] = [
        # An approver reads five messages as people would get them: that table alone may quote texts, but no number.
        ("metadata", database_text(company.metadata, without="hitl_detail")),
        ("printed", company.walker.printed),
        *log_texts(company.instance.folder / "logs", company.instance.folder / "airflow"),
        *log_texts(company.server.folder / "logs"),
    ]
    arrived = request_json(company.systems.simulator + "/_sim/stats", "GET")
    assert arrived["accepted"] > 0
    names = sorted({customer.first_name for customer in sample.customers})
    hidden = [secrets.product_token, secrets.webhook_secret, secrets.suppression_key, secrets.login]
    for where, text in texts:
        assert numbers_in(text, known) == set(), where
        assert [name for name in names if f"Hello {name}" in text or f"Hallo {name}" in text] == [], where
        assert [secret for secret in hidden if secret in text] == [], where


WRONG_TOKEN = "FFFFFFFF-0000-4000-8000-00000000DEAD"
LATE_TOKEN = "FFFFFFFF-0000-4000-8000-00000000BEEF"


def _integration(host: str, token: str = WRONG_TOKEN) -> str:
    """A CM.com connection with a token that nobody has (yet)."""
    extra = {"account_id": ACCOUNT, "channel_id": ACCOUNT, "sender": SENDER, "messages_per_second": 400}
    return json.dumps({"conn_type": "cm_com", "host": host, "password": token, "extra": extra})


def _leave_the_webshop(company: Company, people: int) -> dict[str, int]:
    """So many people of the web shop say no there, and it is pulled; everybody by status before that counts."""
    with connect(company.dsn) as conn:
        rows = conn.execute(
            "select e.source_record_id as id from subscription s join consent_event e on e.id = s.consent_event_id "
            "where e.source = 'webshop' and s.status = 'subscribed' order by s.id limit %s",
            (people,),
        ).fetchall()
        before = _subscribed(conn)
    with psycopg.connect(company.webshop) as shop:
        shop.execute(
            "update customers set whatsapp_optin = false, optin_changed_at = now(), updated_at = now() "
            "where customer_id = any (%s)",
            ([row["id"] for row in rows],),
        )
    assert company.walk("pull_optins").state == "success"
    return before


def _expected(company: Company) -> dict[str, Any]:
    return expected(company.systems.sample)


def _subscribed(conn: psycopg.Connection[Any]) -> dict[str, int]:
    rows = conn.execute("select status, count(*) as n from subscription group by status").fetchall()
    return {row["status"]: row["n"] for row in rows}


def _form(conf: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"logical_date": None, "conf": conf or {}}


def _asked(company: Company, user: str, method: str, path: str, body: Any = None) -> int:
    """The HTTP status of a request as this user, or as nobody. A run that came of it is deleted again."""
    try:
        if not user:
            request_json(f"{company.server.url}/api/v2/{path}", method, body)
        elif method == "GET":
            company.api(user).get(path)
        else:
            run = company.api(user).post(path, body)
            company.api("admin")._call("DELETE", f"/api/v2/{path}/{run['dag_run_id']}")
    except HttpRefused as refused:
        return refused.status
    return 200
