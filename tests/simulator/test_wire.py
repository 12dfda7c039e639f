"""The gateway's answers, shape by shape (cm_com.md 1.2, 3.1, 3.2 and the vectors of 9)."""

from __future__ import annotations

import json
import urllib.error

import pytest

from tests.support.simulator import SENDER, TOKEN, Simulator, running_simulator, template_message

# What text-sdk-python 2.0.4 puts on the wire (cm_com.md 9).
PYTHON_SDK = b"""{"messages": {"authentication": {"producttoken": "00000000-0000-0000-0000-000000000000"}, "msg":
[{"allowedChannels": ["Whatsapp"], "from": "0031687654321", "to": [{"number": "0031612345678"}], "body":
{"type": "AUTO", "content": ""}, "reference": "c42r7", "customGrouping3": "text-sdk-python-2.0.4",
"richContent": {"conversation":
[{"template": {"whatsapp": {"namespace": "11111111_2222_3333_4444_555555555555", "element_name": "order_update",
"language": {"policy": "deterministic", "code": "en"}, "components": [{"type": "body", "parameters":
[{"type": "text", "text": "Jan"}, {"type": "text", "text": "A-1001"}]}]}}}]}}]}}"""

# What text-sdk-javascript 2.1.0 puts on the wire (cm_com.md 9).
JAVASCRIPT_SDK = b"""{"messages":{"authentication":{"productToken":"00000000-0000-0000-0000-000000000000"},"msg":[{
"from":"TestSender","body":{"content":"Hello world?!","type":"AUTO"},"to":[{"number":"00316012345678"}],
"customGrouping3":
"text-sdk-javascript","allowedChannels":["WhatsApp"],"richContent":{"conversation":[{"template":{"whatsapp":{"namespace":
"the-namespace-of-template","element_name":"template-name","language":{"code":"en","policy":"deterministic"},"components":
[{"type":"body","parameters":[{"type":"text","text":"firstname"}]}]}}}]}}]}}"""

# The habits of the other clients in one: Zapier's capitals, .NET's $type and Components, PHP's lower case, nulls.
OTHERS = b"""{"Messages":{"Authentication":{"ProductToken":"00000000-0000-0000-0000-000000000000"},"$type":"Envelope",
"Msg":[{"$type":"Message","From":"0031687654321","TO":[{"Number":"0031612345678"}],"Body":{"Content":"hi","type":null},
"dcs":0,
"customgrouping3":"php","allowedChannels":["whatsapp"],"appKey":null,"RichContent":{"Conversation":[{"context":null,
"Template":{"Whatsapp":{"Namespace":"n","Element_Name":"e","Language":{"Code":"en","policy":"deterministic"},"Components":
[{"$type":"C","Type":"body","Parameters":[{"Type":"text","Text":"x"}]}]}}}]}}]}}"""


def accepted(to: str, reference: str | None) -> dict[str, object]:
    return {
        "to": to,
        "status": "Accepted",
        "reference": reference,
        "parts": 1,
        "messageDetails": None,
        "messageErrorCode": 0,
    }


@pytest.mark.parametrize(
    ("body", "to", "reference"),
    [
        pytest.param(PYTHON_SDK, "0031612345678", "c42r7", id="python"),
        pytest.param(JAVASCRIPT_SDK, "00316012345678", None, id="javascript"),
        pytest.param(OTHERS, "0031612345678", None, id="others"),
    ],
)
def test_shipped_clients_are_served(
    simulator: Simulator, body: bytes, to: str, reference: str | None
) -> None:
    assert simulator.post(body, token=None) == (
        200,
        {"details": "Created 1 message(s)", "errorCode": 0, "messages": [accepted(to, reference)]},
    )
    kept = simulator.messages()[0]["message"]
    assert kept == _first_message(body), "the message is remembered as it was sent"


def _first_message(body: bytes) -> object:
    messages = next(iter(json.loads(body).values()))
    return next(each for key, each in messages.items() if key.lower() == "msg")[0]


def test_order_of_keys_is_the_documented_one(simulator: Simulator) -> None:
    body = json.dumps({"messages": {"msg": [template_message()]}}).encode()
    with simulator.open("POST", "/v1.0/message", body, {"X-CM-PRODUCTTOKEN": TOKEN}) as answer:
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert answer.read() == (
            b'{"details":"Created 1 message(s)","errorCode":0,"messages":[{"to":"0031612345678","status":"Accepted",'
            b'"reference":null,"parts":1,"messageDetails":null,"messageErrorCode":0}]}'
        )


def test_header_goes_before_body_and_either_is_enough(simulator: Simulator) -> None:
    body = json.dumps(
        {"messages": {"authentication": {"productToken": TOKEN}, "msg": [template_message()]}}
    ).encode()
    assert simulator.post(body, token=None)[0] == 200
    assert simulator.post(body, token=TOKEN.upper())[0] == 200
    assert simulator.post(body, token="wrong")[1]["errorCode"] == 101


@pytest.mark.parametrize("token", [None, "", "12345678-0000-0000-0000-000000000000"])
def test_unknown_token(simulator: Simulator, token: str | None) -> None:
    assert simulator.send(template_message(), token=token) == (
        400,
        {"details": "No account found for the given authentication", "errorCode": 101, "messages": []},
    )
    assert simulator.stats()["messages"] == 0


def test_some_rejected_is_a_200_with_201(simulator: Simulator) -> None:
    status, answer = simulator.send(
        template_message("0031612345678", reference="a1"),
        template_message("0031612345679", reference="a2", body={"type": "auto"}),
        template_message("0044791112345a", reference="a3"),
        template_message("0031612345670", reference="a4") | {"to": []},
        template_message("0031612345670", reference="a5") | {"from": None},
    )
    assert status == 200
    assert (answer["details"], answer["errorCode"]) == ("Created 1 message(s)", 201)
    assert [(each["reference"], each["messageErrorCode"], each["parts"]) for each in answer["messages"]] == [
        ("a1", 0, 1),
        ("a2", 304, 0),
        ("a3", 303, 0),
        ("a4", 302, 0),
        ("a5", 301, 0),
    ]
    assert answer["messages"][1]["messageDetails"] == "A body without content was found"
    assert answer["messages"][2]["messageDetails"] == "Gsm '0044791112345a' is not a number."
    assert {each["status"] for each in answer["messages"][1:]} == {"Rejected"}


def test_all_rejected_is_a_400(simulator: Simulator) -> None:
    status, answer = simulator.send(template_message("0044791112345a"), template_message("x"))
    assert status == 400
    assert (answer["details"], answer["errorCode"]) == ("Created 0 message(s)", 201)
    assert [each["messageErrorCode"] for each in answer["messages"]] == [303, 303]


def test_one_element_for_each_message_and_recipient_in_order(simulator: Simulator) -> None:
    several = [{"number": f"003161234567{digit}"} for digit in (3, 1, 2)]
    _, answer = simulator.send(
        template_message(reference="a1", to=several), template_message("0031600000000", reference="a2")
    )
    assert answer["details"] == "Created 4 message(s)"
    assert [(each["to"], each["reference"]) for each in answer["messages"]] == [
        ("0031612345673", "a1"),
        ("0031612345671", "a1"),
        ("0031612345672", "a1"),
        ("0031600000000", "a2"),
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"{", 202, id="not JSON"),
        pytest.param(b"\xff\xfe", 202, id="not UTF-8"),
        pytest.param(b"", 202, id="empty"),
        pytest.param(b"[]", 203, id="an array"),
        pytest.param(b"{}", 203, id="no messages"),
        pytest.param(b'{"messages":{}}', 203, id="no msg"),
        pytest.param(b'{"messages":{"msg":{}}}', 203, id="msg an object"),
        pytest.param(b'{"messages":{"msg":[]}}', 203, id="msg empty"),
        pytest.param(b'{"messages":{"msg":[{"to":"0031612345678"}]}}', 202, id="to a string"),
        pytest.param(b'{"messages":{"msg":[{"from":31687654321}]}}', 202, id="from a number"),
        pytest.param(b'{"messages":{"msg":[null]}}', 202, id="a null message"),
    ],
)
def test_unusable_requests(simulator: Simulator, body: bytes, code: int) -> None:
    status, answer = simulator.post(body)
    assert (status, answer["errorCode"], answer["messages"]) == (400, code, [])
    assert simulator.stats()["requests_refused"] == 1


def test_more_than_1000_messages_are_refused(simulator: Simulator) -> None:
    messages = [template_message(f"00316{number:08d}") for number in range(1001)]
    status, answer = simulator.send(*messages)
    assert (status, answer["errorCode"]) == (400, 203)
    assert simulator.send(*messages[:1000])[1]["details"] == "Created 1000 message(s)"


def test_empty_content_beside_rich_content_is_accepted_and_alone_is_not(simulator: Simulator) -> None:
    message = template_message(body={"type": "auto", "content": ""})
    assert simulator.send(message)[0] == 200
    assert simulator.send({key: each for key, each in message.items() if key != "richContent"})[0] == 400


def test_an_unknown_sender_is_no_error(simulator: Simulator) -> None:
    simulator.account(senders=[SENDER])
    assert simulator.send(template_message() | {"from": "Shop"})[0] == 200


def test_choices_where_the_contract_is_silent() -> None:
    settings = {
        "max_messages": 100,
        "strict_reference": True,
        "strict_grouping": True,
        "accept_empty_content": False,
        "auth_details": "No authentication method found.",
    }
    with running_simulator(config={"settings": settings}) as simulator:
        answer = simulator.send(*[template_message(f"00316{number:08d}") for number in range(101)])[1]
        assert answer["errorCode"] == 203
        _, answer = simulator.send(
            template_message(reference="a-1"),
            template_message(reference="a" * 33),
            template_message(customGrouping="g" * 101),
            template_message(body={"content": ""}),
            template_message(reference="a" * 32, customGrouping="g" * 100),
        )
        assert [each["messageErrorCode"] for each in answer["messages"]] == [305, 305, 305, 304, 0]
        assert simulator.post(b"{}", token="x")[1]["errorCode"] == 203
        assert (
            simulator.send(template_message(), token="x")[1]["details"] == "No authentication method found."
        )


def test_only_post_and_known_paths(simulator: Simulator) -> None:
    with pytest.raises(urllib.error.HTTPError) as wrong_method:
        simulator.open("GET", "/v1.0/message")
    assert wrong_method.value.code == 405
    with pytest.raises(urllib.error.HTTPError) as wrong_path:
        simulator.open("GET", "/v1.0/other")
    assert wrong_path.value.code == 404
