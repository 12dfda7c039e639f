from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from cm_com.wire.messages import (
    Button,
    Currency,
    DateTime,
    Media,
    Text,
    from_wire_number,
    message_dict,
    request_body,
    text_dict,
    to_wire_number,
)

from tests.cm_com.examples import NAMESPACE, secrets_in, template_message


def test_a_full_template_is_what_cm_com_documents() -> None:
    """The example of the contract, section 2.2."""
    message = template_message(
        to="+31612345678",
        reference="c42r7",
        template="media_ticket",
        content="Fallback Text",
        header=Media(
            kind="image", url="https://www.cm.com/cdn/cm/cm.png", mime_type="image/png", name="t.png"
        ),
        body=[
            Text("Name"),
            Currency(Decimal("12.34"), "EUR", "EUR 12.34"),
            DateTime(datetime(2026, 11, 22, 10, 0, tzinfo=UTC), "2026-11-22T10:00:00.000Z"),
        ],
        buttons=[
            Button(index=0, kind="url", value="promo/42"),
            Button(index=1, kind="quick_reply", value="STOP-42"),
        ],
        groupings=("campaign-42", "batch-1", "airflow"),
        validity=timedelta(hours=2),
    )
    money = {"fallback_value": "EUR 12.34", "code": "EUR", "amount_1000": 12340}
    moment = {
        "fallback_value": "2026-11-22T10:00:00.000Z",
        "day_of_week": 7,
        "day_of_month": 22,
        "year": 2026,
        "month": 11,
        "hour": 10,
        "minute": 0,
    }
    media = {"mediaName": "t.png", "mediaUri": "https://www.cm.com/cdn/cm/cm.png", "mimeType": "image/png"}
    template = {
        "namespace": NAMESPACE,
        "element_name": "media_ticket",
        "language": {"policy": "deterministic", "code": "en"},
        "components": [
            {"type": "header", "parameters": [{"type": "image", "media": media}]},
            {
                "type": "body",
                "parameters": [
                    {"type": "text", "text": "Name"},
                    {"type": "currency", "currency": money},
                    {"type": "date_time", "date_time": moment},
                ],
            },
            {
                "type": "button",
                "sub_type": "url",
                "index": 0,
                "parameters": [{"type": "text", "text": "promo/42"}],
            },
            {
                "type": "button",
                "sub_type": "quick_reply",
                "index": 1,
                "parameters": [{"type": "payload", "payload": "STOP-42"}],
            },
        ],
    }
    assert message_dict(message) == {
        "allowedChannels": ["WhatsApp"],
        "from": "0031687654321",
        "to": [{"number": "0031612345678"}],
        "body": {"type": "auto", "content": "Fallback Text"},
        "reference": "c42r7",
        "customGrouping": "campaign-42",
        "customGrouping2": "batch-1",
        "customGrouping3": "airflow",
        "validity": "2h",
        "richContent": {"conversation": [{"template": {"whatsapp": template}}]},
    }


def test_a_request_takes_mappings_and_their_json() -> None:
    message = message_dict(template_message())
    body = request_body([message, json.dumps(message).encode()])
    assert json.loads(body) == {"messages": {"msg": [message, message]}}


@pytest.mark.parametrize(
    ("given", "wire"),
    [
        ("+31612345678", "0031612345678"),
        ("0031612345678", "0031612345678"),
        ("+12025550123", "0012025550123"),
    ],
)
def test_numbers_go_out_with_00(given: str, wire: str) -> None:
    assert to_wire_number(given) == wire
    assert from_wire_number(wire) == "+" + wire[2:]


@pytest.mark.parametrize("given", ["", "0612345678", "31612345678", "+31 6 12345678", "+0612345678", "+31a"])
def test_other_numbers_are_refused_without_being_quoted(given: str) -> None:
    with pytest.raises(ValueError, match=r"E\.164") as raised:
        to_wire_number(given)
    assert len(given) < 8 or given not in str(raised.value)


@pytest.mark.parametrize(
    ("validity", "wire"),
    [
        (timedelta(minutes=30), "30m"),
        (timedelta(minutes=90), "90m"),
        (timedelta(hours=48), "48h"),
        (datetime(2026, 4, 20, 13, 50, 5, tzinfo=timezone(timedelta(hours=2))), "2026-04-20 11:50:05 GMT"),
    ],
)
def test_validity_has_cm_coms_forms(validity: Any, wire: str) -> None:
    assert message_dict(template_message(validity=validity))["validity"] == wire


@pytest.mark.parametrize(
    "fields",
    [
        {"reference": "a" * 33},
        {"reference": "a-b"},
        {"reference": ""},
        {"content": " "},
        {"namespace": ""},
        {"template": ""},
        {"language": ""},
        {"body": [Text(" ")]},
        {"buttons": [Button(index=0, kind="url", value="")]},
        {"groupings": ("x" * 101,)},
        {"groupings": ("a", "b", "c", "d")},
        {"validity": timedelta(seconds=90)},
        {"validity": timedelta(hours=49)},
        {"validity": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"to": "0612345678"},
        {"sender": "0612345678"},
    ],
)
def test_what_cm_com_would_refuse_is_refused_here_and_quoted_nowhere(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message's privacy is the point
        message_dict(template_message(**fields))
    assert secrets_in(str(raised.value)) == []
    assert "0612345678" not in str(raised.value)


def test_nothing_personal_is_in_a_repr() -> None:
    assert secrets_in(repr(template_message())) == []


def test_a_free_text() -> None:
    wire = text_dict(
        to="+31612345678",
        sender="+31687654321",
        reference="answer7",
        text="Goodbye",
        groupings=("answers", "", "x"),
    )
    assert wire == {
        "allowedChannels": ["WhatsApp"],
        "from": "0031687654321",
        "to": [{"number": "0031612345678"}],
        "body": {"type": "auto", "content": "Goodbye"},
        "reference": "answer7",
        "customGrouping": "answers",
        "customGrouping3": "x",
        "richContent": {"conversation": [{"text": "Goodbye"}]},
    }
    for text in ("", " ", "x" * 4097):
        with pytest.raises(ValueError, match=r"content|text"):
            text_dict(to="+31612345678", sender="+31687654321", reference="a", text=text)
