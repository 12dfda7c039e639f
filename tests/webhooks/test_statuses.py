"""Status reports: the documented shape, the shapes receivers have met, and everything else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from include.message_log.events import StatusEvent
from include.webhooks.posts import read_body, read_get

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Amsterdam")


def report(**changes: Any) -> dict[str, Any]:
    fields = {
        "received": "2026-11-22T09:00:05",
        "to": "0031612345678",
        "reference": "202611c4s7a1",
        "status": {"code": "2", "errorCode": "", "errorDescription": "Delivered"},
        "operator": "",
    }
    return fields | changes


def read(document: Any) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_body(body, entities=("acme",), zone=ZONE, now=NOW)


def test_the_documented_report() -> None:
    assert read({"messages": {"msg": report()}}).statuses == [
        StatusEvent(
            reference="202611c4s7a1",
            status="delivered",
            occurred_at=datetime(2026, 11, 22, 8, 0, 5, tzinfo=UTC),
            source="webhook",
            received_raw="2026-11-22T09:00:05",
        )
    ]


def test_a_failure_has_its_code() -> None:
    status = {"code": "3", "errorCode": "62", "errorDescription": "Message failed to send because …"}
    [event] = read({"messages": {"msg": report(status=status)}}).statuses
    assert (event.status, event.error_code, event.error_text) == (
        "failed",
        62,
        "Message failed to send because …",
    )


@pytest.mark.parametrize(
    "document",
    [
        {"Messages": {"Msg": {"Reference": "202611c4s7a1", "Status": {"Code": 4, "ErrorCode": None}}}},
        {"messages": {"msg": [report(status={"code": "4"})]}},
        {"MESSAGES": {"MSG": [report(status={"code": 4, "errorCode": 0})]}},
        {"messages": {"msg": report(status="4", received=None)}},
        {"messages": {"msg": report(status={"code": "4"}, received=20261122, extra={"a": [1]})}},
    ],
)
def test_other_cases_types_and_lists_of_it(document: Any) -> None:
    [event] = read(document).statuses
    assert (event.reference, event.status) == ("202611c4s7a1", "read")


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ("2026-11-22T09:00:05Z", datetime(2026, 11, 22, 9, 0, 5, tzinfo=UTC)),
        ("2026-11-22T09:00:05+05:30", datetime(2026, 11, 22, 3, 30, 5, tzinfo=UTC)),
        ("2026-11-22T18:00:00", NOW),  # later than it was told: the zone is another one
        ("yesterday", NOW),
        ("", NOW),
        (None, NOW),
        ("0001-01-01T00:00:00+23:59", NOW),
    ],
)
def test_when_it_happened(received: str | None, expected: datetime) -> None:
    [event] = read({"messages": {"msg": report(received=received)}}).statuses
    assert event.occurred_at == expected


def test_an_error_code_without_a_known_status_is_a_failure() -> None:
    [event] = read({"messages": {"msg": report(status={"errorCode": "59"})}}).statuses
    assert (event.status, event.error_code) == ("failed", 59)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"hello", "not_json"),
        (b"[" * 100_000, "nested_too_deep"),
        (b"null", "not_an_object"),
        (b"[]", "not_an_object"),
        (b"{}", "no_sender's_number"),
        (b'{"messages": null}', "no_report"),
        (b'{"messages": {"msg": [3]}}', "no_report"),
        (b'{"messages": {"msg": {"status": {}}}}', "no_status_code"),
        (b'{"messages": {"msg": {"status": {"code": "9"}}}}', "a_status_code_that_nobody_documents"),
        (b'{"from": {"number": "+31612345678"}}', "no_message"),
        (b"<MESSAGES><MSG/></MESSAGES>", "not_json"),
    ],
)
def test_what_cannot_be_read_is_set_aside_with_the_reason(body: bytes, reason: str) -> None:
    post = read(body)
    assert [aside.reason for aside in post.asides] == [reason]
    assert "612345678" not in post.asides[0].body


@pytest.mark.parametrize("code", ["-1", "99999999999999999999", "0x1F", "٣", "6 2", "2147483648"])
def test_error_codes_that_are_none(code: str) -> None:
    [event] = read({"messages": {"msg": report(status={"code": "3", "errorCode": code})}}).statuses
    assert (event.status, event.error_code) == ("failed", None)


def test_the_older_form_in_a_query() -> None:
    query = b"reference=202611c4s7a1&received=2026-11-22T09:00:05&to=0031612345678&statuscode=3&errorcode=59"
    [event] = read_get(query, entities=("acme",), zone=ZONE, now=NOW).statuses
    assert (event.reference, event.status, event.error_code) == ("202611c4s7a1", "failed", 59)
    assert read_get(b"", entities=("acme",), zone=ZONE, now=NOW).asides[0].reason == "no_status_code"
    many = b"&".join(b"a=1" for _ in range(60))
    assert read_get(many, entities=("acme",), zone=ZONE, now=NOW).asides[0].reason == "too_many_fields"
