"""Statuses and replies as the customer's webhook gets them (cm_com.md 4 and 5)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator.receiver import Receiver, receiving
from tests.support.simulator import SENDER, Simulator, running_simulator, template_message

READS = {"number": "+32470000001", "outcome": "read", "deliver_after": 1, "read_after": 2, "reply": ""}
AWAY = {"number": "+32470000002", "outcome": "failed", "code": "59", "deliver_after": 1}
STOPS = READS | {"number": "+32470000003", "reply": "STOP", "reply_after": 1}
CLICKS = READS | {"number": "+32470000004", "reply": None, "click": True, "reply_after": 1}
OFF = {"number": "+32470000005", "outcome": "pending"}
PEOPLE = {"people": [READS, AWAY, STOPS, CLICKS, OFF]}

TEMPLATE = {
    "element_name": "offer",
    "language": "nl",
    "body_variables": 1,
    "buttons": [{"type": "quick_reply", "text": "Geen reclame meer"}],
}


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with running_simulator(speed=100, population=PEOPLE) as simulator:
        yield simulator


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def simulator(running: Simulator, hook: Receiver) -> Simulator:
    """An empty simulator, a hundred times faster than life, that posts to `hook`."""
    running.faults()
    running.reset()
    running.account(webhook_url=hook.url, mo_url=None)
    return running


def test_statuses_have_the_documented_shape_and_order(simulator: Simulator, hook: Receiver) -> None:
    simulator.send(template_message("0032470000001", reference="r1"))
    hook.wait(lambda each: len(each.bodies) == 3)
    assert hook.statuses("r1") == ["0", "2", "4"]
    read = hook.bodies[2]["messages"]["msg"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", read.pop("received"))
    assert read == {
        "to": "0032470000001",
        "reference": "r1",
        "status": {"code": "4", "errorCode": "", "errorDescription": "Read"},
        "operator": "",
    }
    pushed = simulator.messages()[0]["pushed"]
    assert [each["code"] for each in pushed] == [0, 2, 4]


def test_a_failure_carries_its_code(simulator: Simulator, hook: Receiver) -> None:
    simulator.send(
        template_message("0032470000002", reference="r1"), template_message("0032470000005", reference="r2")
    )
    hook.wait(lambda each: len(each.bodies) == 3)
    assert hook.statuses("r1") == ["0", "3"]
    assert hook.statuses("r2") == ["0"]
    assert [body["messages"]["msg"]["status"] for body in hook.bodies][-1] == {
        "code": "3",
        "errorCode": "59",
        "errorDescription": "Message undeliverable",
    }


def test_a_webhook_that_refuses_is_asked_again_until_it_takes(simulator: Simulator, hook: Receiver) -> None:
    hook.refuse_next = 4
    before = simulator.stats()["push_attempts_refused"]
    simulator.send(template_message("0032470000001", reference="r1"))
    hook.wait(lambda each: len(each.bodies) == 3)
    assert len(hook.refused) == 4
    assert Counter(hook.statuses("r1")) == Counter(["0", "2", "4"])
    assert simulator.stats()["push_attempts_refused"] == before + 4


def test_a_webhook_that_is_away_gets_everything_once_it_is_back(simulator: Simulator) -> None:
    with receiving() as away:
        url = away.url
    before = simulator.stats()["push_attempts_refused"]
    simulator.account(webhook_url=url)
    simulator.send(template_message("0032470000001", reference="r1"))
    simulator.wait_until(lambda stats: stats["push_attempts_refused"] > before + 2)
    with receiving(int(url.split(":")[2].split("/")[0])) as back:
        back.wait(lambda each: sorted(each.statuses("r1")) == ["0", "2", "4"])


def test_stop_is_said_once_and_remembered(simulator: Simulator, hook: Receiver) -> None:
    groupings = {"customGrouping": "campaign-1", "customGrouping2": "batch", "customGrouping3": "airflow"}
    simulator.send(template_message("0032470000003", reference="r1", **groupings))
    hook.wait(lambda each: bool(each.replies()))
    reply = hook.replies()[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", reply.pop("timeUtc"))
    assert reply == {
        "reference": "r1",
        "messageContext": "",
        "from": {"number": "+32470000003", "name": ""},
        "to": {"number": SENDER},
        "message": {
            "text": "STOP",
            "media": {"mediaUri": "", "contentType": "", "title": ""},
            "custom": {},
        },
        "groupings": ["campaign-1", "batch", "airflow"],
        "channel": "WhatsApp",
    }
    simulator.send(template_message("0032470000003", reference="r2"))
    hook.wait(lambda each: len(each.statuses("r2")) == 3)
    stats = simulator.stats()
    assert (stats["people_stopped"], stats["messages_after_stop"], stats["replies"]) == (1, 1, 1)
    assert simulator.truth()["r1"]["stopped"] is True


def test_a_click_brings_the_buttons_label_and_payload(simulator: Simulator, hook: Receiver) -> None:
    message = template_message("0032470000004", reference="r1", name="offer", language="nl")
    message["richContent"]["conversation"][0]["template"]["whatsapp"]["components"].append(
        {
            "type": "button",
            "sub_type": "quick_reply",
            "index": 0,
            "parameters": [{"type": "payload", "payload": "STOP-42"}],
        }
    )
    with running_simulator(speed=100, population=PEOPLE, templates=[TEMPLATE], webhook_url=hook.url) as other:
        other.send(message)
        hook.wait(lambda each: bool(each.replies()))
        assert hook.replies()[0]["message"]["text"] == "Geen reclame meer"
        assert hook.replies()[0]["message"]["custom"] == {"payload": "STOP-42"}
        assert other.stats()["people_stopped"] == 0, "the population decides who stops, not the payload"


def test_replies_go_to_an_address_of_their_own(simulator: Simulator, hook: Receiver) -> None:
    with receiving() as replies:
        simulator.account(mo_url=replies.url)
        assert simulator.inbound(from_="+32470000009", text="Désinscrire !")["stop"] is True
        replies.wait(lambda each: len(each.bodies) == 1)
        assert replies.bodies[0]["groupings"] == ["", "", ""]
        assert hook.bodies == []


def test_a_person_who_writes_opens_the_window_for_free_text(simulator: Simulator) -> None:
    text = {
        "allowedChannels": ["WhatsApp"],
        "from": SENDER,
        "to": [{"number": "0032470000001"}],
        "body": {"content": "Hello"},
    }
    simulator.send(text | {"reference": "before"})
    simulator.inbound(from_="0032470000001", text="Hi")
    simulator.send(text | {"reference": "after"})
    truth = simulator.truth()
    assert (truth["before"]["final_state"], truth["before"]["final_code"]) == ("failed", "62")
    assert truth["after"]["final_state"] == "read"


def test_duplicate_disordered_and_missing_statuses(simulator: Simulator, hook: Receiver) -> None:
    references = [f"r{number}" for number in range(60)]
    simulator.faults({"kind": "statuses", "duplicate": 2, "disorder_share": 0.5, "missing_share": 0.2})
    simulator.send(*[template_message("0032470000001", reference=each) for each in references])
    simulator.wait_until(lambda stats: stats["pushes_waiting"] == 0)
    counts = [Counter(hook.statuses(each)) for each in references]
    assert {count for each in counts for count in each.values()} == {3}
    assert 15 < 180 - sum(len(each) for each in counts) < 60, "about a fifth is missing"
    first = [hook.statuses(each)[0] for each in references if hook.statuses(each)]
    assert 10 < first.count("4") < 50, "about half arrive in the opposite order"
    assert {each["state"] for each in simulator.truth().values()} == {"read"}, "the truth is not touched"


def test_late_statuses(simulator: Simulator, hook: Receiver) -> None:
    simulator.faults({"kind": "statuses", "late_share": 1.0, "late": 200})
    simulator.send(template_message("0032470000001", reference="r1"))
    simulator.wait_until(lambda stats: stats["pushes_waiting"] == 1)
    hook.wait(lambda each: len(each.bodies) == 3)
    (message,) = simulator.messages()
    delays = [
        push["at"] - status["at"] for push, status in zip(message["pushed"], message["statuses"], strict=True)
    ]
    assert all(1.9 < delay < 4 for delay in delays), delays


def test_a_restarted_simulator_pushes_what_is_left(tmp_path: Path, hook: Receiver) -> None:
    people = {"rules": [STOPS | {"number": "", "prefix": "+32", "read_after": 40}]}
    messages = [template_message(f"00324700{number:05d}", reference=f"r{number}") for number in range(50)]
    options = {"speed": 20, "population": people, "db": f"{tmp_path}/journal.db"}
    with running_simulator(webhook_url=hook.url, **options) as simulator:
        simulator.send(*messages)
        hook.wait(lambda each: len(each.bodies) >= 60)
        simulator.kill()
        simulator.start()
        simulator.wait_until(lambda stats: stats["pushes_waiting"] == 0 and stats["replies"] == 50)
        for number in range(50):
            assert set(hook.statuses(f"r{number}")) == {"0", "2", "4"}
        assert {each["reference"] for each in hook.replies()} == {f"r{number}" for number in range(50)}
        assert simulator.stats()["people_stopped"] == 50
