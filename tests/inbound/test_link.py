"""The opt-in link: from its text, through the webhook's message, the pull and the reconcile, to a subscription."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from include.cli import app
from include.database import connect
from include.entities import Entity
from include.entities.models import Columns, Keywords
from include.inbound import from_webhook, record_inbound
from include.inbound.link import NoOptInLink, optin_link
from include.subscriptions import propagate
from tests.support.optins import KEY, NOW, Store, entity, source, write_csv

COLUMNS = Columns(record_id="id", phone="number", consent="said", changed_at="occurred_at")
CHAT = source(
    "chat",
    kind="inbound",
    connection=None,
    columns=COLUMNS,
    collection_point="wa.me link",
    method="keyword",
    options={"changed_column": "received_at"},
    optout=None,
)


def brand(name: str = "brand", **changes: Any) -> Entity:
    values = {
        "name": name,
        "whatsapp_number": "+32 460 20 02 00",
        "keywords": Keywords(start=(f"START {name}",)),
    }
    return entity(CHAT, source("shop"), **(values | changes))


BRAND, OTHER = brand(), brand("other")


def send(store: Store, text: str, number: str = "0032470123456") -> None:
    """The message that WhatsApp sends, as CM.com posts it."""
    document = {
        "from": {"number": number},
        "to": {"number": "0032460200200"},
        "message": {"text": text},
        "reference": "",
        "timeUtc": f"{NOW - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}",
    }
    with connect(store.dsn) as conn:
        message = from_webhook(document, now=NOW)
        record_inbound(conn, [message], entities=[OTHER, BRAND], suppression_key=KEY)


def pull(store: Store) -> None:
    store.pull(BRAND, "chat", now=NOW + timedelta(hours=1))
    store.reconcile(BRAND, now=NOW + timedelta(hours=1))


def test_the_whole_way_from_the_link_to_a_subscription(store: Store) -> None:
    link = urlsplit(optin_link(BRAND, others=[OTHER]))
    assert (link.scheme, link.netloc, link.path) == ("https", "wa.me", "/32460200200")
    (text,) = parse_qs(link.query)["text"]
    send(store, text)
    pull(store)
    assert store.people() == {"+32470123456": "subscribed"}
    (proof,) = store.rows("select * from v_consent")
    assert (proof["action"], proof["method"], proof["collection_point"]) == ("grant", "keyword", "wa.me link")
    assert (proof["occurred_at"], proof["wording"]) == (NOW - timedelta(hours=1), "Yes, please.")
    send(store, "stop")
    assert store.people() == {"+32470123456": "unsubscribed"}
    told = propagate(BRAND, CHAT, None, dsn=store.dsn, now=NOW + timedelta(hours=2))
    assert (told["done"], told["due"]) == (1, 0), "what people wrote to us nobody else has to be told"


def test_a_start_word_says_which_brand_is_meant_even_to_somebody_the_other_one_knows(store: Store) -> None:
    write_csv(store.folder / "shop.csv", [("1", "0470123456", "no", "2026-03-01T10:00:00Z", "", "", "")])
    store.pull(OTHER, "shop")
    store.reconcile(OTHER)
    send(store, "Start brand!")
    assert store.rows("select entity, kind from inbound_message") == [{"entity": "brand", "kind": "start"}]
    pull(store)
    assert store.rows("select entity, status from subscription order by entity") == [
        {"entity": "brand", "status": "subscribed"},
        {"entity": "other", "status": "unsubscribed"},
    ]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (brand(whatsapp_number=None), "which number"),
        (entity(source("shop"), whatsapp_number="+32460200200"), "no source of the kind `inbound`"),
        (brand(keywords=Keywords()), "shares its number with other"),
    ],
)
def test_a_link_that_would_subscribe_nobody_is_not_made(changed: Entity, problem: str) -> None:
    with pytest.raises(NoOptInLink, match=problem):
        optin_link(changed, others=[OTHER])


def test_without_a_word_of_its_own_an_entity_says_start() -> None:
    assert optin_link(brand(keywords=Keywords())).endswith("?text=START")


def test_the_command_prints_the_link_and_writes_the_code(tmp_path: Path) -> None:
    for name, begins in (("code.svg", b"<?xml"), ("code.png", b"\x89PNG")):
        done = CliRunner().invoke(app, ["optin-link", "acme", "--code", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith("https://wa.me/32460200200?text=START%20ACME\n")
        assert "▄" in done.stdout
        assert (tmp_path / name).read_bytes().startswith(begins)
    for path in ("code.gif", "nowhere/code.svg"):
        done = CliRunner().invoke(app, ["optin-link", "acme", "--code", str(tmp_path / path)])
        assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
