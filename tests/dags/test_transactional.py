"""Another system triggers a message: the whole Dag, from the form's values to the report, and no person is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.database import connect
from tests.campaigns.test_audience import entity_with, record
from tests.support.campaigns import acme, register_templates, subscribe
from tests.support.simulator import ACCOUNT, SENDER, TOKEN, Simulator, running_simulator
from tests.support.webhook import KEY
from tests.system.walker import Walker

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]
DAG = "send_campaign__acme"
MESSAGE = {
    "name": "Order 7 has left",
    "template": "order_update",
    "recipients": [
        {"source": "webshop", "record_id": f"r{n}", "variables": {"order_number": "7"}} for n in (1, 2)
    ],
    "dry_run": False,
    "workers": 2,
}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with running_simulator(speed=1000) as running:
        register_templates(running, acme())
        yield running


@pytest.fixture
def walker(
    migrated_airflow: dict[str, str], migrated_database: str, simulator: Simulator, tmp_path: Path
) -> Iterator[Walker]:
    settings = (
        acme().folder / "entity.yaml"
    ).read_text() + "unapproved_recipients: 2\ntemplate_state: assumed\n"
    entities = entity_with(tmp_path, entity=settings).folder.parent
    connection: dict[str, Any] = {
        "conn_type": "cm_com",
        "host": simulator.url,
        "password": TOKEN,
        "extra": {
            "sender": f"+{SENDER.removeprefix('00')}",
            "account_id": ACCOUNT,
            "messages_per_second": 80,
        },
    }
    environment = migrated_airflow | {
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parents[2] / "dags"),
        "WHATSAPP_ENTITIES": str(entities),
        "AIRFLOW_CONN_WHATSAPP_DB": migrated_database,
        "AIRFLOW_CONN_CM_COM_ACME": json.dumps(connection),
        "WHATSAPP_SUPPRESSION_KEY": KEY,
    }
    running = Walker(environment)
    yield running
    running.close()


def test_a_few_given_recipients_get_their_news_at_once_and_once(
    walker: Walker, migrated_database: str, simulator: Simulator
) -> None:
    dsn = migrated_database
    subscribe(dsn, 3)
    record(dsn)
    first = walker.walk(DAG, MESSAGE)
    assert first.state == "success", first.printed
    assert first.states["approve"] == "success"
    assert simulator.stats()["accepted"] == 2
    assert "'7'" in str(simulator.messages()[0])

    again = walker.walk(DAG, MESSAGE)  # the other system had no answer, and calls again
    assert again.state == "success", again.printed
    assert simulator.stats()["accepted"] == 2
    with connect(dsn) as conn:
        campaigns = conn.execute("select state, approved_by from campaign order by id").fetchall()
        rows = conn.execute("select state, reason from campaign_message order by campaign_id").fetchall()
    assert [row["state"] for row in campaigns] == ["sent", "sent"]
    assert {row["approved_by"] for row in campaigns} == {"nobody (unapproved_recipients in entity.yaml)"}
    assert [row["reason"] for row in rows] == [None, None, "already_planned", "already_planned"]
    assert "+32" not in walker.printed
