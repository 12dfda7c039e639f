"""One answer to a STOP, by the real simulator and within its 24 hours, whatever is repeated or dies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cm_com.messenger import CmComMessenger

from include.database import connect
from include.entities import Entity
from include.entities.models import Answers
from include.inbound import from_webhook, record_inbound
from include.inbound.answering import answer_due
from include.message_log import StatusEvent, apply_events, pull
from tests.cm_com.raw_server import RawServer, raw_server
from tests.message_log.cm_log import SimulatorLog
from tests.message_log.ledger import add_campaign, add_messages, add_people
from tests.support.campaigns import settings
from tests.support.optins import entity, source
from tests.support.simulator import Simulator, running_simulator

TEXTS = Answers(
    stop={"nl": "Je krijgt niets meer.", "en": "You are unsubscribed."}, help={"en": "Reply STOP to stop."}
)
BRAND = entity(source(), answers=TEXTS)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running_simulator(speed=1) as running:
        yield running


def hears(
    dsn: str,
    simulator: Simulator | None,
    text: str,
    *,
    number: str = "+32470000000",
    at: datetime | None = None,
    brand: Entity = BRAND,
) -> None:
    at = at or datetime.now(UTC)
    if simulator is not None:
        simulator.inbound(from_=number, text=text)
    document = {"from": {"number": number}, "message": {"text": text}, "timeUtc": at.isoformat()}
    with connect(dsn) as conn:
        record_inbound(conn, [from_webhook(document, now=at)], entities=[brand], suppression_key=None)


def answer(
    dsn: str, simulator: Simulator | RawServer, now: datetime | None = None, **connection: Any
) -> dict[str, int]:
    options = {"connect_timeout": 1.0, "read_timeout": 0.5} | connection
    found = answer_due(
        BRAND,
        lambda: CmComMessenger(settings(simulator), **options),  # type: ignore[arg-type]  # both have a url
        dsn=dsn,
        messages_per_second=100,
        now=now or datetime.now(UTC),
    )
    return dict(found)


def answers(dsn: str) -> list[tuple[str, str]]:
    with connect(dsn) as conn:
        return [
            (row["kind"], row["state"]) for row in conn.execute("select kind, state from answer order by id")
        ]


@pytest.fixture
def dsn(migrated_database: str) -> str:
    with connect(migrated_database) as conn:
        add_messages(conn, add_campaign(conn, entity="brand"), add_people(conn, 3, entity="brand"))
        conn.execute("update subscription set language = 'nl' where phone = '+32470000000'")
        conn.commit()
    return migrated_database


def test_a_stop_is_confirmed_once_in_the_persons_language_and_settled_by_the_log(
    dsn: str, simulator: Simulator
) -> None:
    simulator.reset()
    hears(dsn, simulator, "STOP")
    hears(dsn, simulator, "stop!!", at=datetime.now(UTC) + timedelta(seconds=9))
    hears(dsn, simulator, "HELP", number="+32470000001")
    hears(dsn, simulator, "Is het nog te koop?", number="+32470000002")
    with ThreadPoolExecutor(2) as both:
        found = [each.result() for each in [both.submit(answer, dsn, simulator) for _ in range(2)]]
    assert sum(each.get("accepted", 0) for each in found) == 2
    assert answer(dsn, simulator) == {}
    sent = {each["to"]: each["message"] for each in simulator.messages()}
    assert {number: each["richContent"]["conversation"] for number, each in sent.items()} == {
        "0032470000000": [{"text": "Je krijgt niets meer."}],
        "0032470000001": [{"text": "Reply STOP to stop."}],
    }
    assert simulator.stats()["messages_after_stop"] == 0, "it answers; it is no campaign"
    with connect(dsn) as conn:
        [first, *_] = [row["reference"] for row in conn.execute("select reference from answer order by id")]
        told = [
            StatusEvent(reference=each, status="delivered", occurred_at=datetime.now(UTC), source="webhook")
            for each in (first, "answer999999")
        ]
        applied = apply_events(conn, told, entities=["brand"], now=datetime.now(UTC))
        assert (applied.received, applied.known, applied.set_aside) == (2, 1, 1)
        conn.commit()
    assert ("stop", "delivered") in answers(dsn)
    result = pull(BRAND, SimulatorLog(simulator), dsn=dsn, now=datetime.now(UTC) + timedelta(minutes=1))
    assert (result.rows, result.foreign) == (2, 0), "our answers are no strangers in the log"


def test_what_got_no_answer_is_uncertain_and_never_repeated(dsn: str) -> None:
    hears(dsn, None, "STOP")
    with raw_server(lambda server, sock: server.read(sock) and time.sleep(2)) as silent:
        assert answer(dsn, silent) == {"uncertain": 1}
        assert answer(dsn, silent, datetime.now(UTC) + timedelta(hours=1)) == {}
    assert answers(dsn) == [("stop", "uncertain")]


def test_a_worker_that_died_leaves_it_uncertain(dsn: str, simulator: Simulator) -> None:
    hears(dsn, None, "STOP")
    with connect(dsn) as conn:
        conn.execute("update answer set state = 'sending', claimed_at = now()")
        conn.commit()
    assert answer(dsn, simulator) == {}
    assert answer(dsn, simulator, datetime.now(UTC) + timedelta(minutes=11)) == {"uncertain": 1}


def test_what_never_left_is_planned_again(dsn: str, simulator: Simulator) -> None:
    simulator.reset()
    hears(dsn, simulator, "STOP")
    gone = Simulator(simulator.directory, {})
    gone.url = "http://127.0.0.1:9"
    assert answer(dsn, gone) == {"planned": 1}
    assert answer(dsn, simulator) == {}, "not at once"
    assert answer(dsn, simulator, datetime.now(UTC) + timedelta(minutes=2)) == {"accepted": 1}


def test_after_a_day_or_a_change_of_mind_nothing_is_sent(dsn: str, simulator: Simulator) -> None:
    simulator.reset()
    yesterday = datetime.now(UTC) - timedelta(hours=24)
    hears(dsn, None, "STOP", at=yesterday)
    hears(dsn, None, "STOP", number="+32470000001")
    with connect(dsn) as conn:
        conn.execute("update subscription set status = 'subscribed' where phone = '+32470000001'")
        conn.commit()
    assert answer(dsn, simulator) == {"expired": 2}
    assert simulator.messages() == []


def test_without_a_text_nobody_is_answered(dsn: str) -> None:
    hears(dsn, None, "STOP", brand=entity(source(), answers=Answers(help={"en": "?"})))
    assert answers(dsn) == []
