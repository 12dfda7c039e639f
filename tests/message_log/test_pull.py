"""The log pull against a real simulator: no webhook at all, and afterwards the ledger is the simulator's truth."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from include.database import connect
from include.entities.load import load_entity
from include.message_log import backfill, pull
from tests.message_log.cm_log import SimulatorLog
from tests.message_log.ledger import add_campaign, add_messages, add_people, message
from tests.support.simulator import Simulator, running_simulator, template_message

ACME = load_entity("acme")


def send(simulator: Simulator, conn: psycopg.Connection[Any], references: list[str]) -> None:
    """Post the messages of these ledger rows."""
    phones = {
        row["reference"]: row["phone"].replace("+", "00")
        for row in conn.execute(
            """select m.reference, s.phone from campaign_message m join subscription s on s.id = m.subscription_id"""
        )
    }
    messages = [template_message(phones[reference], reference=reference) for reference in references]
    for start in range(0, len(messages), 100):
        status, _ = simulator.send(*messages[start : start + 100])
        assert status == 200


def settled(simulator: Simulator, references: list[str]) -> bool:
    truth = simulator.truth()
    return all(truth[reference]["state"] == truth[reference]["final_state"] for reference in references)


def wait_until_settled(simulator: Simulator, references: list[str]) -> None:
    for _ in range(200):
        if settled(simulator, references):
            return
        time.sleep(0.1)
    raise TimeoutError("the simulator's people did not come to an end")


@pytest.fixture
def conn(migrated_database: str) -> Any:
    with connect(migrated_database) as connection:
        connection.autocommit = True
        yield connection


def test_without_any_webhook_the_log_brings_the_truth(conn: Any, migrated_database: str) -> None:
    with running_simulator(speed=3600) as simulator:
        people = add_people(conn, 400)
        campaign = add_campaign(conn)
        now = datetime.now(UTC)
        sent = add_messages(conn, campaign, people[:390], state="uncertain", sent_at=now)
        lost = add_messages(conn, campaign, people[390:], state="uncertain", sent_at=now - timedelta(hours=2))
        send(simulator, conn, sent)
        wait_until_settled(simulator, sent)
        # Somebody else sends through the same account.
        simulator.send(template_message("0031612345678", reference="order 77"))
        log = SimulatorLog(simulator, page_size=150)
        result = pull(ACME, log, dsn=migrated_database, now=datetime.now(UTC))
        assert (result.rows, result.foreign, result.missing, result.uncertain) == (391, 1, 0, 10)
        truth = simulator.truth()
        for reference in sent:
            row, true = message(conn, reference), truth[reference]
            assert row["state"] == true["final_state"]
            assert str(row["error_code"] or "") == true["final_code"]
            assert (row["country"], row["currency"]) == ("BE", "EUR")
            assert row["price"] == (Decimal("0.06") if true["final_state"] in ("delivered", "read") else 0)
            assert (row["replied_at"] is not None) == true["replied"]
            assert (row["opted_out_at"] is not None) == true["stopped"]
        stopped = {reference for reference, true in truth.items() if true["stopped"]}
        assert stopped
        assert {
            row["reference"]
            for row in conn.execute(
                """select m.reference from campaign_message m join subscription s on s.id = m.subscription_id
                   where s.status = 'unsubscribed' and m.error_code is null"""
            )
        } == stopped
        reached = conn.execute(
            "select count(*) from subscription where reachability = 'confirmed'"
        ).fetchone()
        assert reached["count"] == sum(truth[each]["final_state"] in ("delivered", "read") for each in sent)
        assert {message(conn, reference)["state"] for reference in lost} == {"uncertain"}
        before = conn.execute("select count(*), max(updated_at) from campaign_message").fetchone()
        again = pull(ACME, log, dsn=migrated_database, now=datetime.now(UTC))
        assert (again.rows, again.statuses.recorded, again.statuses.changed) == (391, 0, 0)
        assert conn.execute("select count(*), max(updated_at) from campaign_message").fetchone() == before


def test_what_settles_late_is_found_when_its_day_is_read_again(conn: Any, migrated_database: str) -> None:
    with running_simulator(speed=3600) as simulator:
        people = add_people(conn, 20)
        references = add_messages(conn, add_campaign(conn), people, sent_at=datetime.now(UTC))
        send(simulator, conn, references)
        wait_until_settled(simulator, references)
        # As if sent three days ago: the regular span of a pull in three days does not hold them any more.
        later = datetime.now(UTC) + timedelta(days=3)
        conn.execute(
            "insert into log_window values ('acme', 'out', %s, %s, 0)",
            (later - timedelta(days=1), later - timedelta(hours=2)),
        )
        result = pull(ACME, SimulatorLog(simulator), dsn=migrated_database, now=later)
        assert result.rows == 20
        truth = simulator.truth()
        assert [message(conn, each)["state"] for each in references] == [
            truth[each]["final_state"] for each in references
        ]
        assert pull(ACME, SimulatorLog(simulator), dsn=migrated_database, now=later).rows == 0


def test_a_pull_that_breaks_off_continues_from_its_last_whole_window(
    conn: Any, migrated_database: str
) -> None:
    with running_simulator(speed=3600) as simulator:
        references = add_messages(conn, add_campaign(conn), add_people(conn, 20), sent_at=datetime.now(UTC))
        send(simulator, conn, references)
        wait_until_settled(simulator, references)
        now = datetime.now(UTC)
        log = SimulatorLog(simulator)
        simulator.faults({"path": "/v1.2/transactions/", "kind": "unavailable", "status": 500, "count": 1})
        with pytest.raises(OSError, match="500"):
            pull(ACME, log, dsn=migrated_database, now=now)
        assert conn.execute("select count(*) from log_window").fetchone()["count"] == 0
        assert pull(ACME, log, dsn=migrated_database, now=now).windows == 4
        again = backfill(
            ACME,
            log,
            dsn=migrated_database,
            now=now,
            start=now - timedelta(days=3),
            end=now + timedelta(days=1),
        )
        assert (again.windows, again.rows, again.statuses.recorded) == (6, 20, 0)
        windows = conn.execute("select count(*) from log_window").fetchone()["count"]
        assert windows == 4, "reading again moves no watermark: what lies between is still to be read"


def test_accepted_messages_that_the_log_never_shows_are_counted(conn: Any, migrated_database: str) -> None:
    with running_simulator(speed=3600) as simulator:
        two_hours_ago = datetime.now(UTC) - timedelta(hours=2)
        add_messages(conn, add_campaign(conn), add_people(conn, 3), sent_at=two_hours_ago)
        assert pull(ACME, SimulatorLog(simulator), dsn=migrated_database, now=datetime.now(UTC)).missing == 3
