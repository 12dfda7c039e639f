"""Opt-ins that a source sends by itself: from its POST to the subscription table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from include.database import connect
from include.entities.models import Columns
from include.optins import pull
from include.subscriptions import reconcile
from tests.support.optins import KEY, entity, source
from tests.support.webhook import SECRET, WebhookProcess, running_webhook

CRM_SECRET = "crm-secret-0123456789"
FORM = source(
    "form",
    kind="pushed",
    connection=None,
    columns=Columns(
        record_id="id",
        phone="contact.mobile",
        consent="whatsapp",
        changed_at="received_at",
        attributes={"first_name": "contact.name"},
    ),
    options={"changed_column": "received_at"},
    optout=None,
)
BRAND = entity(FORM)


@pytest.fixture
def webhook(migrated_database: str) -> Iterator[WebhookProcess]:
    secrets = f"brand={SECRET}; brand.form={CRM_SECRET}"
    with running_webhook(migrated_database, WHATSAPP_WEBHOOK_SECRETS=secrets) as process:
        yield process


def record(number: str, *, yes: bool, name: str = "An") -> dict[str, Any]:
    return {"id": number[-3:], "contact": {"mobile": number, "name": name}, "whatsapp": yes}


def test_a_yes_and_a_no_arrive_in_the_table_and_are_then_forgotten(
    webhook: WebhookProcess, migrated_database: str
) -> None:
    def push(document: Any) -> int:
        return webhook.post(json.dumps(document), f"/{CRM_SECRET}/optin")

    def sync(key: str) -> dict[str, str]:
        now = datetime.now(UTC)
        pull(BRAND, FORM, None, dsn=migrated_database, run_key=key, now=now)
        reconcile(BRAND, dsn=migrated_database, key=KEY, now=now)
        with connect(migrated_database) as conn:
            return {
                row["phone"]: row["status"] for row in conn.execute("select phone, status from subscription")
            }

    an, bo = "0470 12 34 56", "0470 12 34 57"
    assert (
        push(record(an, yes=True))
        == push({"records": [record(bo, yes=True), record("junk", yes=True)]})
        == 200
    )
    assert sync("1") == {"+32470123456": "subscribed", "+32470123457": "subscribed"}
    assert push([record(an, yes=False), record(bo, yes=False), record(bo, yes=True)]) == 200
    assert sync("2") == {"+32470123456": "unsubscribed", "+32470123457": "subscribed"}
    assert push(record(an, yes=True)) == 200, "the same record as the first one, said anew"
    assert sync("3") == {"+32470123456": "subscribed", "+32470123457": "subscribed"}
    with connect(migrated_database) as conn:
        conn.execute("update pushed_record set received_at = received_at - interval '2 days'")
        conn.commit()
        assert push(record(an, yes=True)) == 200
        sync("4")
        left = conn.execute("select count(*) as rows from pushed_record").fetchone()
    assert left == {"rows": 1}


def test_a_sources_secret_is_good_for_its_opt_ins_alone(
    webhook: WebhookProcess, migrated_database: str
) -> None:
    assert webhook.post("{}", f"/{CRM_SECRET}/status") == 404
    assert webhook.post("{}", f"/{CRM_SECRET}/inbound") == 404
    assert webhook.post("{}", f"/{SECRET}/optin") == 404
    for nonsense in ("", "nonsense", "3", "[]", "{}", "[3]", "[[]]", "x" * 2_000_000):
        assert webhook.post(nonsense or " ", f"/{CRM_SECRET}/optin") == 200
    with connect(migrated_database) as conn:
        reasons = {row["reason"] for row in conn.execute("select reason from set_aside")}
        pushed = conn.execute("select count(*) as rows from pushed_record").fetchone()
    assert reasons == {"records_not_json", "records_not_objects", "body_too_large"}
    assert pushed == {"rows": 0}
