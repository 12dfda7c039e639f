from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cm_com.delivery import Delivery, MessageResult
from cm_com.wire.answers import Sent, identify, read_answer
from hypothesis import given
from hypothesis import strategies as st

from tests.cm_com.examples import wire_messages

SENT = [Sent("a1", "0031612345678"), Sent("a2", "0031612345679")]


def row(one: Sent, status: str = "Accepted", code: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "to": one.to,
        "status": status,
        "reference": one.reference,
        "parts": 1,
        "messageDetails": None,
        "messageErrorCode": code,
    } | fields


def read(status: int, document: Any, *, retry_after: str | None = None, sent: Any = None) -> Delivery:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_answer(
        status=status,
        body=body,
        retry_after=retry_after,
        sent=SENT if sent is None else sent,
        now=datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
    )


def test_all_accepted() -> None:
    told = read(200, {"details": "Created 2 message(s)", "errorCode": 0, "messages": [row(s) for s in SENT]})
    assert told == Delivery(
        outcome="answered",
        results=(MessageResult("a1", accepted=True, code=0), MessageResult("a2", accepted=True, code=0)),
        code=0,
        status=200,
    )


def test_some_rejected_is_an_answer_with_code_201() -> None:
    rows = [row(SENT[0]), row(SENT[1], "Rejected", 304, parts=0, messageDetails="A body without content")]
    told = read(200, {"details": "Created 1 message(s)", "errorCode": 201, "messages": rows})
    assert told.outcome == "answered"
    assert told.results == (
        MessageResult("a1", accepted=True, code=0),
        MessageResult("a2", accepted=False, code=304),
    )


def test_all_rejected_comes_with_http_400_and_is_an_answer() -> None:
    rows = [row(one, "Rejected", 303, messageDetails=f"Gsm '{one.to}' is not a number.") for one in SENT]
    told = read(400, {"details": "Created 0 message(s)", "errorCode": 201, "messages": rows})
    assert told.outcome == "answered"
    assert [result.code for result in told.results] == [303, 303]
    assert "0031612" not in repr(told), "messageDetails quotes numbers and is dropped"


@pytest.mark.parametrize(
    "text", ["No account found for the given authentication", "No authentication method found."]
)
@pytest.mark.parametrize(
    ("code", "fatal"), [(101, True), (102, True), (103, True), (202, False), (203, False)]
)
@pytest.mark.parametrize("status", [200, 400, 401])
def test_a_refused_request_is_told_by_its_code(text: str, code: int, fatal: bool, status: int) -> None:  # noqa: FBT001
    told = read(status, {"details": text, "errorCode": code, "messages": []})
    assert (told.outcome, told.code, told.fatal) == ("refused", code, fatal)


def test_an_unknown_code_with_a_client_error_is_a_refusal() -> None:
    assert read(400, {"details": "?", "errorCode": 271, "messages": []}).outcome == "refused"
    assert read(400, {"details": "?", "errorCode": "271", "messages": None}).code == 271


@pytest.mark.parametrize(
    ("status", "retry_after", "wait"),
    [(429, "7", 7.0), (503, "0", 0.0), (429, "Sun, 22 Nov 2026 12:01:00 GMT", 60.0), (503, "soon", None)],
)
def test_being_asked_to_wait_means_nothing_was_taken(
    status: int, retry_after: str, wait: float | None
) -> None:
    told = read(status, b"<html>slow down</html>", retry_after=retry_after)
    assert (told.outcome, told.retry_after, told.status) == ("not_sent", wait, status)


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (429, b"slow down"),
        (429, {"errorCode": 429, "messages": []}),
        (503, b"<html></html>"),
        (500, {"errorCode": 101, "messages": []}),
        (502, b""),
        (302, b""),
        (201, {"errorCode": 0, "messages": [row(s) for s in SENT]}),
        (200, b"<html>hello</html>"),
        (200, b'{"details":"Created 1 message(s)","errorCo'),
        (200, b""),
        (200, []),
        (200, {"messages": "none"}),
        (200, {"errorCode": 0, "messages": []}),
        (200, {"errorCode": 0}),
        (200, {"errorCode": 500, "messages": []}),
        (400, {"errorCode": 999, "messages": []}),
        (403, b"<html>Cloudflare</html>"),
        (400, {"details": "?"}),
        (200, {"errorCode": 0, "messages": [row(Sent("zz", "0049170000000"))]}),
    ],
)
def test_whatever_proves_nothing_is_unknown(status: int, document: Any) -> None:
    told = read(status, document)
    assert told.outcome == "unknown", told
    assert told.results == ()


def test_rows_in_another_order_are_matched_by_reference() -> None:
    told = read(200, {"errorCode": 201, "messages": [row(SENT[1], "Rejected", 402), row(SENT[0])]})
    assert told.results == (
        MessageResult("a1", accepted=True, code=0),
        MessageResult("a2", accepted=False, code=402),
    )


def test_a_missing_row_leaves_its_message_unknown_and_the_others_known() -> None:
    told = read(200, {"errorCode": 0, "messages": [row(SENT[1])]})
    assert told.results == (
        MessageResult("a1", accepted=None, code=None),
        MessageResult("a2", accepted=True, code=0),
    )


def test_a_row_about_another_number_proves_nothing() -> None:
    told = read(200, {"errorCode": 0, "messages": [row(SENT[0], to="0049170000000"), row(SENT[1])]})
    assert [result.accepted for result in told.results] == [None, True]


def test_a_demo_account_drops_references_and_position_with_number_still_proves() -> None:
    told = read(200, {"errorCode": 0, "messages": [row(one, reference=None) for one in SENT]})
    assert [result.accepted for result in told.results] == [True, True]


def test_without_references_a_shorter_answer_proves_nothing() -> None:
    assert read(200, {"errorCode": 0, "messages": [row(SENT[0], reference=None)]}).outcome == "unknown"


def test_the_same_number_in_another_form_is_the_same_number() -> None:
    told = read(200, {"errorCode": 0, "messages": [row(one, to="+" + one.to[2:]) for one in SENT]})
    assert [result.accepted for result in told.results] == [True, True]


def test_a_word_that_is_not_documented_proves_nothing_about_its_message() -> None:
    told = read(200, {"errorCode": 0, "messages": [row(SENT[0], "Queued"), row(SENT[1], "ACCEPTED")]})
    assert [result.accepted for result in told.results] == [None, True]


@given(
    st.lists(st.sampled_from(["r1", "r2", "r3", None]), min_size=1, max_size=4),
    st.lists(
        st.tuples(
            st.sampled_from(["r1", "r2", "r3", "r9", None]),
            st.sampled_from(["0031612345670", "0031612345671", "0031612345679", None]),
            st.sampled_from(["Accepted", "Rejected", "?"]),
        ),
        max_size=5,
    ),
)
def test_a_known_outcome_always_rests_on_a_row_about_that_message(asked: Any, told: Any) -> None:
    sent = [Sent(reference, f"003161234567{index % 2}") for index, reference in enumerate(asked)]
    rows = [{"reference": r, "to": to, "status": status, "messageErrorCode": 0} for r, to, status in told]
    delivery = read(200, {"errorCode": 0, "messages": rows}, sent=sent)
    for one, result in zip(sent, delivery.results, strict=False):
        if result.accepted is not None:
            word = "Accepted" if result.accepted else "Rejected"
            assert any(
                (to, status) == (one.to, word) and r in {one.reference, None} for r, to, status in told
            )


def test_identify_reads_mappings_and_json() -> None:
    messages = wire_messages(1)
    expected = [Sent("c42r0", "0031612345000")] * 2
    assert identify([messages[0], json.dumps(messages[0]).encode()]) == expected


@pytest.mark.parametrize(
    "item", [b"{", b"[]", {"to": []}, {"to": [{"number": "0031612345678"}] * 2}, {"to": "0031612345678"}]
)
def test_a_message_without_exactly_one_recipient_is_a_mistake_here(item: Any) -> None:
    with pytest.raises(ValueError, match="message") as raised:
        identify([item])
    assert "31612345678" not in str(raised.value)
