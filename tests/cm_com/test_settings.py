from __future__ import annotations

from typing import Any

import pytest
from cm_com.exceptions import CmComConfigError
from cm_com.settings import is_guid, read_settings

from tests.cm_com.examples import SENDER, TOKEN, FakeConnection


def test_an_empty_host_means_cm_coms_own() -> None:
    settings = read_settings(FakeConnection(None, account_id=" a ", channel_id=""))
    assert settings.gateway_url == "https://gw.messaging.cm.com"
    assert settings.transactions_url == "https://api.cmtelecom.com"
    assert settings.templates_url == "https://api.cm.com"
    assert (settings.account_id, settings.channel_id, settings.sender) == ("a", None, SENDER)
    assert (settings.messages_per_second, settings.batch_size) == (80, 100)


@pytest.mark.parametrize("host", ["gw.cmtelecom.com", "https://gw-uk.cmtelecom.com/", "gw.cmtelecom.co.za"])
def test_cm_coms_other_gateways_keep_its_other_hosts(host: str) -> None:
    settings = read_settings(FakeConnection(host))
    assert settings.gateway_url == "https://" + host.removeprefix("https://").rstrip("/")
    assert settings.transactions_url == "https://api.cmtelecom.com"


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080"),
        ({"host": "http://simulator:8080/"}, "http://simulator:8080"),
        ({"host": "127.0.0.1", "schema": "http", "port": 8080}, "http://127.0.0.1:8080"),
        ({"host": "relay.example.org/cm"}, "https://relay.example.org/cm"),
        ({"host": "notcm.com"}, "https://notcm.com"),
    ],
)
def test_a_simulator_or_relay_serves_everything(fields: dict[str, Any], url: str) -> None:
    settings = read_settings(FakeConnection(**fields))
    assert (settings.gateway_url, settings.transactions_url, settings.templates_url) == (url, url, url)


def test_each_url_can_be_set() -> None:
    settings = read_settings(
        FakeConnection(
            "http://sim:1", transactions_url="https://log.example.org", templates_url="http://t:2/"
        )
    )
    assert (settings.transactions_url, settings.templates_url) == ("https://log.example.org", "http://t:2")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password": None}, "product token .* is missing"),
        ({"password": " "}, "product token .* is missing"),
        ({"password": "two words"}, "blanks"),
        ({"password": "line\nbreak"}, "blanks"),
        ({"sender": "0612345678"}, r"sender number .* country code"),
        ({"sender": "Acme"}, "sender number"),
        ({"host": "ftp://example.org"}, "Gateway URL"),
        ({"host": "https://user:pw@example.org"}, "Gateway URL"),
        ({"host": "https://"}, "Gateway URL"),
        ({"host": "https://example.org:70000"}, "Gateway URL"),
        ({"host": "http://gw.messaging.cm.com"}, "unencrypted"),
        ({"transactions_url": "nonsense"}, "Message log URL"),
        ({"messages_per_second": 0}, "messages_per_second"),
        ({"messages_per_second": "fast"}, "messages_per_second"),
        ({"batch_size": 1001}, "batch_size"),
    ],
)
def test_a_wrong_field_is_named_with_its_connection(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(CmComConfigError, match=words) as raised:
        read_settings(FakeConnection(**fields))
    text = str(raised.value)
    assert "cm_com_test" in text
    for private in ("two words", "0612345678", "user:pw", TOKEN):
        assert private not in text


def test_the_token_is_in_no_repr() -> None:
    assert TOKEN not in repr(read_settings(FakeConnection()))
    assert SENDER not in repr(read_settings(FakeConnection()))


def test_a_guid_keeps_its_hyphens() -> None:
    assert is_guid(TOKEN)
    assert not is_guid(TOKEN.replace("-", ""))
    assert not is_guid("demo")
