"""The buttons and the form inside a real Airflow: who may, what a resumed run does, what the form refuses."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from include.database import connect
from tests.plugin.test_access import token
from tests.support.airflow import AirflowServer
from tests.support.ledger import add_campaign, many

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]
DAG = "send_campaign__acme"
GOOD = {"name": "From a test", "template": "spring_sale"}


def client(server: AirflowServer, user: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token(server, user)}"}
    return httpx.Client(base_url=server.url, headers=headers, timeout=60)


def campaign_of(server: AirflowServer, run_id: str) -> int:
    """A paused campaign of a run."""
    with connect(server.dsn) as conn:
        number = add_campaign(
            conn, name=f"Paused {run_id}", state="paused", outcomes=many(2, state="planned")
        )
        conn.execute("update campaign set run_key = %s where id = %s", (f"{DAG}/{run_id}", number))
    return number


def press(browser: httpx.Client, number: int, verb: str) -> httpx.Response:
    page = browser.get(f"/whatsapp/campaigns/{number}/do/{verb}")
    found = re.search(r'name="seal" value="([^"]+)"', page.text)
    assert found is not None, (page.status_code, page.text)
    data = {"seal": found[1], "reason": "tests"}
    return browser.post(f"/whatsapp/campaigns/{number}/do/{verb}", data=data)


def test_a_marketer_may_and_an_analyst_a_stranger_and_nobody_may_not(airflow_server: AirflowServer) -> None:
    number = campaign_of(airflow_server, "gone")
    for user in ("analyst", "stranger"):
        with client(airflow_server, user) as browser:
            assert browser.get(f"/whatsapp/campaigns/{number}/do/resume").status_code == 403, user
            assert browser.post(f"/whatsapp/campaigns/{number}/do/resume").status_code in (403, 409), user
    for method in ("GET", "POST"):
        anonymous = httpx.request(
            method, f"{airflow_server.url}/whatsapp/campaigns/{number}/do/resume", timeout=30
        )
        assert anonymous.status_code == 401
    with client(airflow_server, "marketer") as browser:
        done = press(browser, number, "resume")
        assert done.headers["location"] == f"/whatsapp/campaigns/{number}?notice=by_hand", (
            "there is no such run"
        )
        assert press(browser, number, "pause").headers["location"].endswith("notice=pause")
    with connect(airflow_server.dsn) as conn:
        last = conn.execute("select state, by from campaign_history order by id desc limit 1").fetchone()
    assert last == {"state": "paused", "by": "marketer"}


def test_a_run_that_has_ended_is_started_again_from_send_on(airflow_server: AirflowServer) -> None:
    api = airflow_server.api("admin")
    run_id = api.trigger(DAG, GOOD)
    number = campaign_of(airflow_server, run_id)
    path = f"dags/{DAG}/dagRuns/{run_id}"
    with client(airflow_server, "marketer") as browser:
        assert press(browser, number, "resume").headers["location"].endswith("notice=goes_on"), "it is queued"
        press(browser, number, "pause")
        patched = client(airflow_server, "admin").patch(f"/api/v2/{path}", json={"state": "success"})
        assert patched.status_code == 200, patched.text
        assert api.get(path)["state"] == "success"
        done = press(browser, number, "resume")
    assert done.headers["location"].endswith("notice=started_again")
    assert api.get(path)["state"] == "queued"
    states = {task["task_id"]: task["state"] for task in api.tasks(DAG, run_id)}
    assert states["send"] is None
    assert states["settle"] is None
    assert states["plan"] != states["send"], "what was planned and approved stays"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"template": "spring_sail"}, "spring_sail"),
        ({"name": ""}, "name"),
        ({"holdout_percent": 99}, "maximum of 50"),
        ({"variables": {"1": {"attribute": "nickname"}}}, "'nickname' is not one of"),
        ({"quiet_hours": {"start": "22", "end": "07:00"}}, "'22' does not match"),
        ({"recipients": [{"source": "nowhere", "record_id": "1"}]}, "'nowhere' is not one of"),
        ({"language": "xx"}, "xx"),
    ],
)
def test_airflow_refuses_a_wrong_value_with_the_reason(
    airflow_server: AirflowServer, wrong: dict[str, Any], told: str
) -> None:
    with client(airflow_server, "marketer") as browser:
        answer = browser.post(
            f"/api/v2/dags/{DAG}/dagRuns", json={"logical_date": None, "conf": {**GOOD, **wrong}}
        )
    assert answer.status_code == 400, answer.text
    assert told in answer.text
    assert next(iter(wrong)) in answer.text
