"""Actito's subscription webhooks: announced by a post with its own header, the profile read again, in the table."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from include.database import connect
from include.entities.models import Columns
from include.optins import HttpAccess, SourceShapeChanged, pull
from include.subscriptions import reconcile
from tests.support.json_api import Answer, Request, json_api
from tests.support.optins import KEY, entity, source
from tests.support.webhook import SECRET, WebhookProcess, running_webhook

ACTITO_SECRET = "actito-secret-0123456789"
ACTITO = source(
    "actito",
    kind="actito_pushed",
    columns=Columns(
        record_id="profileId",
        phone="attributes.gsmNumber",
        consent="subscriptions.WhatsApp",
        changed_at="received_at",
        language="attributes.motherLanguage",
    ),
    options={
        "entity": "acme",
        "table": "people",
        "subscription": "WhatsApp",
        "changed_column": "received_at",
        "most": 3,
    },
    optout=None,
)
BRAND = entity(ACTITO)


class Licence:
    """Profiles of an Actito licence, by id."""

    def __init__(self) -> None:
        self.consent: dict[int, bool] = {}
        self.read: list[int] = []

    def __call__(self, request: Request, _: int) -> Answer:
        if request.path == "/auth/token":
            return Answer({"accessToken": "t", "expiresIn": "900s"})
        assert request.query == {"subscriptions": "WhatsApp"}
        number = int(request.path.rsplit("/", 1)[1])
        self.read.append(number)
        if number not in self.consent:
            return Answer({}, 404)
        attributes = {"gsmNumber": f"+3247012345{number}", "motherLanguage": "NL"}
        return Answer(
            {
                "profileId": number,
                "attributes": attributes,
                "subscriptions": {"WhatsApp": self.consent[number]},
            }
        )


@pytest.fixture
def webhook(migrated_database: str) -> Iterator[WebhookProcess]:
    secrets = f"brand={SECRET}; brand.actito={ACTITO_SECRET}"
    with running_webhook(migrated_database, WHATSAPP_WEBHOOK_SECRETS=secrets) as process:
        yield process


def announce(
    webhook: WebhookProcess, document: Any, secret: str = ACTITO_SECRET, name: str = "brand.actito"
) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", webhook.port, timeout=20)
    try:
        headers = {"Content-Type": "application/json", "X-Webhook-Secret": secret}
        connection.request("POST", f"/hooks/{name}/optin", json.dumps(document), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def changed(number: int) -> dict[str, Any]:
    """What Actito posts: the attribute that changed, and the identifiers; never the whole profile."""
    return {"id": f"e{number}", "data": {"profileId": number, "subscriptions": {"WhatsApp": True}}}


def test_the_profile_is_read_again_and_what_the_payload_says_is_not_believed(
    webhook: WebhookProcess, migrated_database: str
) -> None:
    licence = Licence()
    licence.consent = {1: True, 2: False, 3: True, 4: True}
    with json_api(licence) as api:

        def sync(key: str) -> dict[str, str]:
            now = datetime.now(UTC)
            access = HttpAccess(api.url, headers={"Authorization": "Bearer k"}, timeout=5)
            pull(BRAND, ACTITO, access, dsn=migrated_database, run_key=key, now=now)
            reconcile(BRAND, dsn=migrated_database, key=KEY, now=now)
            with connect(migrated_database) as conn:
                return {
                    row["phone"][-1]: row["status"]
                    for row in conn.execute("select phone, status from subscription")
                }

        assert (
            announce(webhook, changed(1))
            == announce(webhook, changed(2))
            == announce(webhook, changed(1))
            == 200
        )
        found = sync("1")
        assert found == {"1": "subscribed"} | ({"2": "unsubscribed"} if "2" in found else {})
        assert sorted(licence.read) == [1, 2], "each once, however often it was announced"
        licence.read.clear()
        assert sync("2") == found
        assert licence.read == [], "what was applied is not read again"
        licence.consent[1] = False
        assert announce(webhook, changed(1)) == 200, "the same announcement, made anew"
        assert sync("3")["1"] == "unsubscribed"

        bulk = {"id": "b", "data": [{"profileId": number} for number in (3, 4)]}
        assert announce(webhook, bulk) == announce(webhook, changed(9)) == 200
        licence.consent |= {3: True, 4: True}
        assert {"3", "4"} <= set(sync("4"))
        with connect(migrated_database) as conn:
            gone = conn.execute("select record_id from rejected_record").fetchall()
        assert gone == [{"record_id": "9"}], "a profile that is gone is seen among the rejects"


def test_more_than_a_pull_takes_waits_for_the_next_and_a_lost_pull_takes_nothing(
    webhook: WebhookProcess, migrated_database: str
) -> None:
    licence = Licence()
    licence.consent = dict.fromkeys(range(1, 8), True)
    for number in range(1, 8):
        assert announce(webhook, changed(number)) == 200
    with json_api(licence) as api:
        access = HttpAccess(api.url, headers={"Authorization": "Bearer k"}, timeout=5)

        def taken(key: str) -> list[int]:
            licence.read.clear()
            pull(BRAND, ACTITO, access, dsn=migrated_database, run_key=key, now=datetime.now(UTC))
            return sorted(licence.read)

        assert taken("1") == [1, 2, 3]
        assert taken("1") == [1, 2, 3], "the same run again takes the same"
        assert taken("2") == [4, 5, 6]
        with connect(migrated_database) as conn:
            conn.execute("update sync_run set state = 'lost' where run_key = '2'")
            conn.commit()
        assert taken("3") == [4, 5, 6]
        assert taken("4") == [7]


def test_only_the_sources_own_secret_opens_its_door(webhook: WebhookProcess, migrated_database: str) -> None:
    assert announce(webhook, changed(1), secret=SECRET) == 404
    assert announce(webhook, changed(1), secret="") == 404
    assert announce(webhook, changed(1), name="brand.other") == 404
    assert announce(webhook, changed(1), name="brand") == 404
    assert webhook.post(json.dumps(changed(1)), f"/{ACTITO_SECRET}/optin") == 200, (
        "in the address it is good, too"
    )
    with connect(migrated_database) as conn:
        assert conn.execute("delete from pushed_record returning record").fetchall() == [
            {"record": changed(1)}
        ]
        conn.commit()
    assert announce(webhook, {"id": "x", "data": {"customerId": 4}}) == 200
    access = HttpAccess("http://127.0.0.1:9", headers={"Authorization": "Bearer k"}, timeout=5)
    with pytest.raises(SourceShapeChanged, match="profile_key"):
        pull(BRAND, ACTITO, access, dsn=migrated_database, run_key="1", now=datetime.now(UTC))
