"""The whole chain: a campaign with a counted button, people who tap it in the simulator, report, next segment."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from cm_com.messenger import CmComMessenger
from fastapi.testclient import TestClient

from include.campaigns.sender import SendSettings, send
from include.database import connect
from include.entities.models import Audience, PastCampaign
from include.links import LinkTokens
from include.pages import Access, build_pages
from include.reports import funnel, refresh
from tests.links.test_tokens import CHROME
from tests.support.campaigns import (
    acme,
    approve_templates,
    approved,
    planned,
    register_templates,
    settings,
    subscribe,
)
from tests.support.simulator import Simulator, running_simulator
from tests.support.webhook import KEY, WebhookProcess, running_webhook

TARGET = "https://www.acme.example/nl/spring-sale"
PEOPLE = 120
POPULATION = {"shares": {"failed": {}, "pending": 0.05, "visit": 0.4, "scanned": 0.2, "stop": 0.0}}


CLICKERS = Audience(name="clickers", past=(PastCampaign(campaign="Spring", did="clicked"),))
ENTITY = acme().model_copy(update={"segments": (*acme().segments, CLICKERS)})


@pytest.fixture(scope="module")
def chain(postgres: Any, migrated_template: str) -> Iterator[tuple[str, WebhookProcess, Simulator, int]]:
    """A campaign that was sent, and everybody has done what they do."""
    dsn = postgres.create_database("links", template=migrated_template)
    subscribe(dsn, PEOPLE)
    approve_templates(dsn, ENTITY)
    with (
        running_webhook(dsn) as webhook,
        running_simulator(
            speed=3000, webhook_url=f"{webhook.url}/status", population=POPULATION
        ) as simulator,
    ):
        register_templates(simulator, ENTITY)
        simulator.account(
            mo_url=f"{webhook.url}/inbound", link_url=f"http://127.0.0.1:{webhook.port}/hooks/l/"
        )
        plan = approved(dsn, ENTITY)
        chosen = SendSettings(worker="w", messages_per_second=1000, link_key=KEY.encode())
        send(ENTITY, plan.campaign_id, lambda: CmComMessenger(settings(simulator)), chosen, dsn=dsn)
        simulator.wait_until(lambda stats: stats["pushes_waiting"] == 0, seconds=60)
        yield dsn, webhook, simulator, plan.campaign_id
    postgres.drop_database("links")


def fetch(
    webhook: WebhookProcess, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", webhook.port, timeout=20)
    try:
        connection.request(method, path, headers={"User-Agent": CHROME.decode(), **headers})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def clicks(conn: psycopg.Connection[Any]) -> dict[str, int]:
    row = conn.execute(
        """select count(*) filter (where not is_robot) as people,
                  coalesce(sum(clicks) filter (where not is_robot), 0)::int as clicks,
                  coalesce(sum(clicks) filter (where is_robot), 0)::int as robots from link_click"""
    ).fetchone()
    assert row is not None
    return dict(row)


def test_exactly_those_who_tapped_are_counted(chain: tuple[str, WebhookProcess, Simulator, int]) -> None:
    dsn, _, simulator, campaign_id = chain
    truth = simulator.truth()
    tapped = {reference for reference, each in truth.items() if each["clicked"]}
    assert 20 < len(tapped) < PEOPLE
    with connect(dsn) as conn:
        rows = conn.execute(
            "select reference from campaign_message where campaign_id = %s and clicked_at is not null",
            (campaign_id,),
        ).fetchall()
        counted = clicks(conn)
        target = conn.execute("select target from link where language = 'nl'").fetchone()
    assert {row["reference"] for row in rows} == tapped
    assert counted["people"] == len(tapped) < counted["clicks"], "some tap twice"
    assert counted["robots"] > 10, "previews and scanners are apart"
    assert (
        target
        == {
            "target": TARGET
            + "&utm_source=whatsapp&utm_medium=message&utm_campaign=Spring&utm_content=spring_sale.en.2"
        }
        or "utm_campaign=Spring" in target["target"]
    )
    refresh("acme", dsn=dsn, now=_now())
    with connect(dsn) as conn:
        figures = funnel(conn, campaign_id)
    assert (figures.clicked, figures.clicks) == (counted["people"], counted["clicks"])
    assert sum(row["robots"] for row in figures.links) == counted["robots"]
    page = _page(dsn, campaign_id)
    assert f'data-figure="clicked">{len(tapped)}<' in page
    assert "www.acme.example/nl/spring-sale?utm_source=whatsapp&amp;utm_medium" in page


def test_the_next_campaign_can_go_to_whoever_clicked(
    chain: tuple[str, WebhookProcess, Simulator, int],
) -> None:
    dsn, _, simulator, _ = chain
    tapped = sum(each["clicked"] for each in simulator.truth().values())
    plan = planned(dsn, ENTITY, run_key="next", segment="clickers", name="Next", max_messages_per_week=5)
    assert plan.target == tapped


def test_a_token_holds_no_number_and_the_address_leads_nowhere_else(
    chain: tuple[str, WebhookProcess, Simulator, int],
) -> None:
    dsn, webhook, simulator, _ = chain
    sent = json.dumps(simulator.messages()[0]["message"])
    token = sent.rsplit('"text": "', 1)[1].split('"')[0]
    status, headers, body = fetch(webhook, f"/hooks/l/{token}?url=https://evil.example&target=//evil.example")
    assert (status, body) == (302, b"")
    assert headers["location"].startswith(TARGET)
    assert headers["cache-control"] == "no-store"
    assert "evil" not in str(headers)
    with connect(dsn) as conn:
        person = conn.execute("select max(subscription_id) as id from campaign_message").fetchone()
        link = conn.execute("select min(id) as id from link").fetchone()
        before = clicks(conn)
    assert person is not None
    assert link is not None
    strangers = LinkTokens(KEY.encode())
    for wrong in (
        token[:-1],
        token.swapcase(),
        "",
        "..%2f..%2fetc",
        "a" * 5000,
        "%00",
        strangers.make(99_999, person["id"]),
        LinkTokens(b"other" * 8).make(1, person["id"]),
    ):
        status, headers, body = fetch(webhook, f"/l/{wrong}")
        assert (status, body) in ((404, b"This link does not exist."), (404, b"")), wrong
        assert "location" not in headers
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert fetch(webhook, f"/l/{token}", method)[0] == 405
    with connect(dsn) as conn:
        assert clicks(conn) == before
    assert fetch(webhook, f"/l/{strangers.make(link['id'], 10**12)}")[0] == 302, (
        "a link of ours for somebody we do not know …"
    )
    with connect(dsn) as conn:
        assert clicks(conn) == before, "… is not counted"
    assert token not in webhook.output()


def test_people_get_where_they_want_while_the_database_is_away(
    chain: tuple[str, WebhookProcess, Simulator, int],
) -> None:
    dsn, webhook, _, _ = chain
    with connect(dsn) as conn:
        row = conn.execute(
            "select min(id) as link, min(subscription_id) as person from link, campaign_message"
        ).fetchone()
        assert row is not None
        token = LinkTokens(KEY.encode()).make(row["link"], row["person"])
        assert fetch(webhook, f"/l/{token}")[0] == 302
        conn.execute("begin; lock table link_click")
        started = time.monotonic()
        assert [fetch(webhook, f"/l/{token}")[0] for _ in range(3)] == [302] * 3
        assert time.monotonic() - started < 5
        conn.rollback()


def _page(dsn: str, campaign_id: int) -> str:
    def access() -> Access:
        return Access(may_read=("acme",).__contains__, may_edit=().__contains__)

    return (
        TestClient(build_pages(dsn=lambda: dsn, access=access, form_key=lambda: b"key"))
        .get(f"/campaigns/{campaign_id}")
        .text
    )


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)
