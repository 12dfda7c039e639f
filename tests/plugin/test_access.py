"""Who reaches the pages inside a real Airflow: by token, by cookie, not at all."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.support.airflow import OTHER, AirflowServer

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]
PHONE = re.compile(r"\+?32470\d{6}")


def token(server: AirflowServer, user: str) -> str:
    answer = httpx.post(
        f"{server.url}/auth/token", json={"username": user, "password": server.password}, timeout=30
    )
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def get(server: AirflowServer, path: str, user: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token(server, user)}"} if user else {}
    return httpx.get(f"{server.url}{path}", headers=headers, timeout=60)


def test_an_anonymous_caller_reads_nothing(airflow_server: AirflowServer) -> None:
    campaign = airflow_server.campaigns["acme"]
    for path in (
        "/whatsapp/",
        f"/whatsapp/campaigns/{campaign}",
        f"/whatsapp/campaigns/{campaign}/people.csv",
        "/whatsapp/optins",
        "/whatsapp/log",
        "/whatsapp/log/acme/2026-11-22.csv",
        "/whatsapp/replies",
        "/whatsapp/reputation",
        "/whatsapp/static/pages.css",
        "/whatsapp/nonsense",
    ):
        answer = get(airflow_server, path)
        assert answer.status_code in (401, 404), path
        assert "Spring" not in answer.text
    for path in ("/whatsapp/docs", "/whatsapp/redoc", "/whatsapp/openapi.json"):
        assert get(airflow_server, path).status_code == 404, path
    forged = httpx.get(
        f"{airflow_server.url}/whatsapp/", headers={"Authorization": "Bearer x.y.z"}, timeout=30
    )
    assert forged.status_code in (401, 403)


def test_an_analyst_reads_their_entity_by_token_and_by_cookie(airflow_server: AirflowServer) -> None:
    campaign = airflow_server.campaigns["acme"]
    address = f"/whatsapp/campaigns/{campaign}"
    by_token = get(airflow_server, address, "analyst")
    by_cookie = httpx.get(
        airflow_server.url + address, cookies={"_token": token(airflow_server, "analyst")}, timeout=60
    )
    for answer in (by_token, by_cookie):
        assert answer.status_code == 200
        assert 'data-figure="delivered">12<' in answer.text
    listed = get(airflow_server, "/whatsapp/", "analyst").text
    assert "Spring sale" in listed
    assert "Stripes" not in listed


def test_a_reader_of_another_entity_gets_403(airflow_server: AirflowServer) -> None:
    campaign = airflow_server.campaigns["acme"]
    for path in (
        f"/whatsapp/campaigns/{campaign}",
        f"/whatsapp/campaigns/{campaign}/people",
        f"/whatsapp/campaigns/{campaign}/people.csv",
        "/whatsapp/optins/acme/rejects.csv",
        "/whatsapp/log/acme/2026-11-22.csv",
    ):
        answer = get(airflow_server, path, "stranger")
        assert answer.status_code == 403, path
        assert "Spring" not in answer.text
    mine = get(airflow_server, f"/whatsapp/campaigns/{airflow_server.campaigns[OTHER]}", "stranger")
    assert mine.status_code == 200
    assert "Spring" not in get(airflow_server, "/whatsapp/", "stranger").text


def test_numbers_are_exported_to_those_who_may_edit(airflow_server: AirflowServer) -> None:
    path = f"/whatsapp/campaigns/{airflow_server.campaigns['acme']}/people.csv"
    assert not PHONE.search(get(airflow_server, path, "analyst").text)
    for user in ("marketer", "admin"):
        assert len(PHONE.findall(get(airflow_server, path, user).text)) == 25, user


def test_airflow_lists_the_plugin_with_its_menu_entry(airflow_server: AirflowServer) -> None:
    (plugin,) = [
        plugin
        for plugin in airflow_server.api("admin").get("plugins")["plugins"]
        if plugin["name"] == "whatsapp"
    ]
    assert {app["url_prefix"] for app in plugin["fastapi_apps"]} == {"/whatsapp", "/whatsapp-hooks"}
    (view,) = plugin["external_views"]
    assert (view["url_route"], view["href"], view["destination"]) == ("whatsapp", "/whatsapp/", "nav")
    assert airflow_server.api("admin").get("plugins/importErrors")["import_errors"] == []


def test_the_webhook_takes_its_secret_path_only_and_leaves_it_out_of_the_log(
    airflow_server: AirflowServer,
) -> None:
    hooks = f"{airflow_server.url}/whatsapp-hooks"
    secret = airflow_server.webhook_secret
    assert httpx.post(f"{hooks}/{secret}/status", json={"nonsense": 1}, timeout=30).status_code == 200
    assert httpx.get(f"{hooks}/{secret}/status?GSM=0032470123456", timeout=30).status_code == 200
    assert httpx.post(f"{hooks}/wrong-secret-of-somebody/status", json={}, timeout=30).status_code == 404
    assert httpx.post(f"{hooks}/status", json={}, timeout=30).status_code == 404
    link = httpx.get(f"{hooks}/l/nobodys-link-of-thirty-six-characters", timeout=30)
    assert (link.status_code, link.text) == (404, "This link does not exist.")
    log = airflow_server.log()
    assert "nobodys-link" not in log
    assert "/whatsapp-hooks" in log
    assert secret not in log
    assert "0032470123456" not in log
    assert "wrong-secret" not in log


def test_no_phone_number_is_in_the_log(airflow_server: AirflowServer) -> None:
    get(airflow_server, f"/whatsapp/campaigns/{airflow_server.campaigns['acme']}/people", "marketer")
    assert not PHONE.search(airflow_server.log())
