"""What the tests send: one connection, some people, some secrets that must not show up anywhere."""

from __future__ import annotations

from typing import Any

from cm_com.settings import CmComSettings, read_settings
from cm_com.wire.messages import TemplateMessage, Text, message_dict

TOKEN = "5e1f0c1e-7d3a-4f52-9a43-d1c0ffee0001"
SENDER = "+31687654321"
SECRET_TEXT = "Jansje van Wijk"
NAMESPACE = "11111111_2222_3333_4444_555555555555"


class FakeConnection:
    """The fields of an Airflow connection."""

    def __init__(self, host: str | None = None, *, password: str | None = TOKEN, **extra: Any) -> None:
        self.conn_id = "cm_com_test"
        self.host = host
        self.schema: str | None = extra.pop("schema", None)
        self.port: int | None = extra.pop("port", None)
        self.password = password
        self.extra_dejson: dict[str, Any] = {"sender": SENDER, **extra}


def settings_for(url: str, *, token: str = TOKEN, **extra: Any) -> CmComSettings:
    return read_settings(FakeConnection(url, password=token, **extra))


def number(index: int) -> str:
    return f"+316{12345000 + index}"


def template_message(index: int = 0, **fields: Any) -> TemplateMessage:
    values: dict[str, Any] = {
        "to": number(index),
        "sender": SENDER,
        "reference": f"c42r{index}",
        "namespace": NAMESPACE,
        "template": "order_update",
        "language": "en",
        "content": "Your order",
        "body": [Text(SECRET_TEXT)],
    }
    return TemplateMessage(**values | fields)


def wire_messages(count: int, *, first: int = 0) -> list[dict[str, Any]]:
    return [message_dict(template_message(index)) for index in range(first, first + count)]


def secrets_in(text: str) -> list[str]:
    """Which of the things that must stay private a text contains."""
    private = [TOKEN, SECRET_TEXT, SENDER[1:]]
    found = [secret for secret in private if secret in text]
    return found + [each for each in ("3161234", "00316") if each in text]
