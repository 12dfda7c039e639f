"""Sending a list once, whatever interrupts it. Here the store is a dict, in test_operators.py Airflow's."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from cm_com.delivery import MessageResult
from cm_com.exceptions import CmComRequestError, CmComThrottled, CmComUnavailable, CmComUncertain
from cm_com.once import Message, send_once

from tests.cm_com.examples import TOKEN, secrets_in, wire_messages


class DictStore:
    """Values survive as JSON, as in Airflow."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}

    def get(self, key: str) -> Any:
        return json.loads(self.rows[key]) if key in self.rows else None

    def set(self, key: str, value: Any) -> None:
        self.rows[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.rows.pop(key, None)


class Killed(BaseException):
    """The process ends here."""


class Gateway:
    """Takes messages; raises ``trouble`` before or after taking them, once for each entry."""

    def __init__(self, *trouble: tuple[str, BaseException] | None) -> None:
        self.taken: list[str] = []
        self.trouble = list(trouble)

    def send(self, messages: Sequence[Message]) -> list[MessageResult]:
        when, error = (self.trouble.pop(0) if self.trouble else None) or ("", None)
        if error is not None and when == "before":
            raise error
        self.taken += [message["reference"] for message in messages]
        if error is not None:
            raise error
        return [MessageResult(message["reference"], accepted=True, code=0) for message in messages]


def once(gateway: Gateway, store: DictStore, messages: Any = None) -> list[MessageResult]:
    return send_once(gateway.send, messages or wire_messages(5), size=2, store=store, secret=TOKEN)


def test_all_leave_once_and_a_second_call_tells_the_same() -> None:
    gateway, store = Gateway(), DictStore()
    first = once(gateway, store)
    assert [result.accepted for result in first] == [True] * 5
    assert once(gateway, store) == first
    assert gateway.taken == [f"c42r{index}" for index in range(5)]


@pytest.mark.parametrize("error", [CmComThrottled("wait"), CmComUnavailable("away")])
def test_what_was_not_sent_is_sent_by_the_next_call_and_nothing_else(error: Exception) -> None:
    gateway, store = Gateway(None, ("before", error)), DictStore()
    with pytest.raises(type(error)):
        once(gateway, store)
    assert [result.accepted for result in once(gateway, store)] == [True] * 5
    assert gateway.taken == [f"c42r{index}" for index in range(5)]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [CmComUncertain("no answer"), Killed()])
def test_what_may_have_left_is_never_sent_again_and_the_rest_is(when: str, error: BaseException) -> None:
    gateway, store = Gateway(None, (when, error)), DictStore()
    with pytest.raises(type(error)) as raised:
        once(gateway, store)
    if isinstance(error, CmComUncertain):
        assert "c42r2 to c42r3" in str(raised.value)
    results = once(gateway, store)
    assert [result.accepted for result in results] == [True, True, None, None, True]
    assert [result.reference for result in results] == [f"c42r{index}" for index in range(5)]
    assert len(gateway.taken) == len(set(gateway.taken))


def test_killed_anywhere_any_number_of_times_nobody_is_sent_to_twice() -> None:
    for seed in range(200):
        generator = random.Random(seed)
        trouble = [
            (generator.choice(["before", "after"]), generator.choice([Killed(), CmComUncertain("?")]))
            if generator.random() < 0.5
            else None
            for _ in range(10)
        ]
        gateway, store = Gateway(*trouble), DictStore()
        results: list[MessageResult] = []
        for _ in range(12):
            try:
                results = once(gateway, store)
                break
            except (Killed, CmComUncertain):
                continue
        assert len(results) == 5
        assert len(gateway.taken) == len(set(gateway.taken)), f"seed {seed}"
        known = {result.reference for result in results if result.accepted}
        assert known <= set(gateway.taken), f"seed {seed}"


def test_other_recipients_than_in_the_first_try_are_refused() -> None:
    gateway, store = Gateway(), DictStore()
    once(gateway, store)
    with pytest.raises(CmComRequestError, match="earlier try"):
        once(gateway, store, wire_messages(5, first=1))
    assert len(gateway.taken) == 5


def test_a_person_named_twice_is_refused_before_anything_leaves() -> None:
    gateway = Gateway()
    with pytest.raises(CmComRequestError, match="1 of the 3 recipients are named twice"):
        once(gateway, DictStore(), [*wire_messages(2), *wire_messages(1)])
    assert gateway.taken == []


def test_the_store_holds_nothing_private() -> None:
    store = DictStore()
    once(Gateway(), store)
    assert secrets_in(json.dumps(store.rows)) == []


def test_a_store_that_does_not_keep_stops_the_sending() -> None:
    class Forgetful(DictStore):
        def set(self, key: str, value: Any) -> None:
            if key.startswith("request"):
                return
            super().set(key, value)

    gateway = Gateway()
    with pytest.raises(CmComUnavailable, match="did not keep"):
        once(gateway, Forgetful())
    assert gateway.taken == []
