"""People and templates: outcomes that can be known beforehand."""

from __future__ import annotations

import json
import urllib.error
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from include.simulator.gateway.population import (
    REPLIES,
    STOP_REPLIES,
    Override,
    Population,
    PopulationFile,
    asks_to_stop,
)
from include.simulator.gateway.settings import ConfigurationError
from tests.support.simulator import ACCOUNT, TOKEN, Simulator, running_simulator, template_message

OFFER = {
    "namespace": "11111111_2222_3333_4444_555555555555",
    "element_name": "offer",
    "language": "nl",
    "body_variables": 2,
    "header": "image",
    "buttons": [{"type": "quick_reply", "text": "Stop"}, {"type": "url", "text": "Shop", "variable": True}],
}


def test_people_follow_from_seed_and_number() -> None:
    numbers = [f"+324700{number:05d}" for number in range(20_000)]
    population = Population(7)
    people = [population.person(number) for number in numbers]
    assert [Population(7).person(number.replace("+", "00")) for number in numbers] == people
    assert [Population(8).person(number) for number in numbers] != people
    outcomes = Counter(each.outcome for each in people)
    assert outcomes["failed"] / 20_000 == pytest.approx(0.06, abs=0.01)
    assert outcomes["pending"] / 20_000 == pytest.approx(0.02, abs=0.005)
    delivered = outcomes["read"] + outcomes["delivered"]
    assert outcomes["read"] / delivered == pytest.approx(0.65, abs=0.02)
    assert sum(each.stop for each in people) / delivered == pytest.approx(0.015, abs=0.004)
    assert sum(each.click for each in people) / delivered == pytest.approx(0.05, abs=0.01)


def test_a_population_file_fixes_outcomes() -> None:
    rule = Override(prefix="+1", outcome="failed", code="131049")
    one = Override(
        number="0014155550124", outcome="read", reply="Unsubscribe!", deliver_after=1, read_after=2
    )
    population = Population(7, PopulationFile(rules=[rule], people=[one]))
    assert population.person("+14155550100").code == "131049"
    person = population.person("+14155550124")
    assert (person.outcome, person.reply, person.stop, person.click) == ("read", "Unsubscribe!", True, False)
    silent = Population(7, PopulationFile(people=[Override(number="+32470000001", outcome="read", reply="")]))
    assert not silent.person("+32470000001").replies


def test_population_files_name_the_place_of_a_mistake(tmp_path: Path) -> None:
    lines = tmp_path / "people.jsonl"
    lines.write_text('{"number": "+32470000001", "outcome": "read"}\n{"number": "+1", "outcome": "maybe"}\n')
    with pytest.raises(
        ConfigurationError, match=r"people\.jsonl:2: Invalid enum value 'maybe' - at `\$\.outcome`"
    ):
        Population.load(lines, 7)
    document = tmp_path / "people.yaml"
    document.write_text("people: [{number: '+32470000001', outcom: read}]")
    with pytest.raises(ConfigurationError, match=r"unknown field `outcom` - at `\$\.people\[0\]`"):
        Population.load(document, 7)


def test_words() -> None:
    for words in STOP_REPLIES.values():
        assert all(asks_to_stop(each) for each in words)
    for words in REPLIES.values():
        assert not any(asks_to_stop(each) for each in words)


def test_a_person_the_gateway_refuses() -> None:
    people = {"people": [{"number": "+31612345671", "outcome": "rejected", "code": "402"}]}
    with running_simulator(population=people) as simulator:
        status, answer = simulator.send(template_message("0031612345671"), template_message("0031612345672"))
        assert status == 200
        assert [each["messageErrorCode"] for each in answer["messages"]] == [402, 0]


def offer(**changes: Any) -> dict[str, Any]:
    """A message that fits the template, with changes to its WhatsApp part."""
    message = template_message("0031612345678", name="offer", language="nl", variables=("Jan", "10 %"))
    whatsapp = message["richContent"]["conversation"][0]["template"]["whatsapp"]
    image = {"mediaName": "a.png", "mediaUri": "https://example.com/a.png", "mimeType": "image/png"}
    whatsapp["components"] += [
        {"type": "header", "parameters": [{"type": "image", "media": image}]},
        {"type": "button", "sub_type": "url", "index": 1, "parameters": [{"type": "text", "text": "promo"}]},
    ]
    whatsapp.update(changes)
    return message


def body(*texts: str) -> dict[str, Any]:
    return {"type": "body", "parameters": [{"type": "text", "text": each} for each in texts]}


@pytest.fixture(scope="module")
def registered() -> object:
    people = {"rules": [{"prefix": "+", "outcome": "delivered", "deliver_after": 0, "reply": ""}]}
    with running_simulator(speed=1000, templates=[OFFER], population=people) as simulator:
        yield simulator


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, ""),
        ({"namespace": "other"}, "53"),
        ({"element_name": "ofer"}, "53"),
        ({"language": {"policy": "deterministic", "code": "fr"}}, "53"),
        ({"language": {"policy": "fallback", "code": "fr"}}, ""),
        ({"components": [body("Jan", "10 %")]}, "57"),
    ],
)
def test_a_message_that_does_not_fit_is_accepted_and_fails(
    registered: Simulator, changes: dict[str, Any], code: str
) -> None:
    registered.reset()
    assert registered.send(offer(**changes) | {"reference": "r1"})[0] == 200
    assert registered.truth()["r1"]["final_code"] == code


@pytest.mark.parametrize(("status", "code"), [("PAUSED", "132015"), ("DISABLED", "132016"), ("APPROVED", "")])
def test_the_state_of_a_template_decides(registered: Simulator, status: str, code: str) -> None:
    registered.reset()
    registered.template(element_name="offer", language="nl", status=status)
    registered.send(offer() | {"reference": "r1"})
    assert registered.truth()["r1"]["final_code"] == code


def test_templates_can_be_read(registered: Simulator) -> None:
    path = f"/channels/v1/accounts/{ACCOUNT}/whatsapp/channel-1/templates"
    with registered.open("GET", path, headers={"X-CM-PRODUCTTOKEN": TOKEN}) as answer:
        (template,) = json.loads(answer.read())["templates"]
    assert template.items() >= {key: each for key, each in OFFER.items() if key != "buttons"}.items()
    assert template["status"] == "APPROVED"
    for wrong, headers in ((path, {}), (path.replace(ACCOUNT, "x"), {"X-CM-PRODUCTTOKEN": TOKEN})):
        with pytest.raises(urllib.error.HTTPError) as error:
            registered.open("GET", wrong, headers=headers)
        assert error.value.code in (401, 404)


def test_sms_fallback_reaches_who_is_not_on_whatsapp() -> None:
    people = {"people": [{"number": "+31612345671", "outcome": "failed", "code": "59"}]}
    with running_simulator(population=people) as simulator:
        simulator.send(
            template_message("0031612345671", reference="r1"),
            template_message("0031612345671", reference="r2", allowedChannels=["SMS", "WhatsApp"]),
        )
        truth = simulator.truth()
        assert truth["r1"]["final_state"] == "failed"
        assert truth["r2"]["final_state"] == "delivered"
