"""Everything that can go wrong on the way back: afterwards the ledger is the simulator's truth for every person."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from include.database import connect
from include.entities.load import load_entity
from include.message_log import pull
from tests.message_log.cm_log import SimulatorLog
from tests.message_log.ledger import add_campaign, add_messages, add_people
from tests.support.simulator import Simulator, running_simulator, template_message
from tests.support.webhook import WebhookProcess, running_webhook

PEOPLE = 600
ACME = load_entity("acme")


@pytest.mark.timeout(300)
def test_repeats_disorder_losses_and_a_crash_end_in_the_truth(migrated_database: str) -> None:
    with (
        running_webhook(migrated_database) as first,
        running_simulator(speed=40_000, webhook_url=f"{first.url}/status") as simulator,
        connect(migrated_database) as conn,
    ):
        conn.autocommit = True
        simulator.account(mo_url=f"{first.url}/inbound")
        simulator.faults(
            {
                "kind": "statuses",
                "duplicate": 4,
                "duplicate_share": 1.0,
                "disorder_share": 0.5,
                "missing_share": 0.01,
                "late_share": 0.1,
                "late": 2 * 86_400,  # days, of which the simulator makes seconds
            }
        )
        people = add_people(conn, PEOPLE)
        references = add_messages(
            conn, add_campaign(conn), people, state="sending", sent_at=datetime.now(UTC)
        )
        send(simulator, references, people)
        time.sleep(2)
        first.kill()
        time.sleep(1)
        with running_webhook(migrated_database, port=first.port) as second:
            wait_until_quiet(simulator, conn, second)
            pull(ACME, SimulatorLog(simulator), dsn=migrated_database, now=datetime.now(UTC))
            assert differences(conn, simulator) == []
            before = snapshot(conn)
            pull(ACME, SimulatorLog(simulator), dsn=migrated_database, now=datetime.now(UTC))
            assert snapshot(conn) == before, "a second pull changes nothing"
            assert "+32" not in second.output()


def send(simulator: Simulator, references: list[str], people: list[int]) -> None:
    numbers = {person: f"0032{470000000 + place}" for place, person in enumerate(people)}
    messages = [
        template_message(numbers[int(reference.split("s")[1].split("a")[0])], reference=reference)
        for reference in references
    ]
    for start in range(0, len(messages), 100):
        assert simulator.send(*messages[start : start + 100])[0] == 200


def wait_until_quiet(simulator: Simulator, conn: Any, webhook: WebhookProcess) -> None:
    """Until no person does anything any more and the webhook has been told all that the simulator tells."""
    seen, since = -1, time.monotonic()
    for _ in range(600):
        row = conn.execute(
            "select (select count(*) from message_event) + (select count(*) from inbound_message) as told"
        ).fetchone()
        truth = simulator.truth().values()
        settled = all(each["state"] == each["final_state"] for each in truth)
        if row["told"] != seen or not settled:
            seen, since = row["told"], time.monotonic()
        elif time.monotonic() - since > 6:
            return
        time.sleep(0.2)
    raise TimeoutError(webhook.output())


def differences(conn: Any, simulator: Simulator) -> list[Any]:
    truth = simulator.truth()
    rows = conn.execute(
        """select m.reference, m.state, m.error_code, m.delivered_at, m.read_at, m.replied_at, m.opted_out_at, s.status
           from campaign_message m join subscription s on s.id = m.subscription_id"""
    ).fetchall()
    assert len(rows) == len(truth) == PEOPLE
    found = []
    for row in rows:
        true = truth[row["reference"]]
        ours = (
            row["state"],
            str(row["error_code"] or ""),
            row["replied_at"] is not None,
            row["opted_out_at"] is not None,
        )
        theirs = (true["final_state"], true["final_code"], true["replied"], true["stopped"])
        stopped = true["stopped"] or true["final_code"] == "131050"
        if ours != theirs or (row["status"] == "unsubscribed") != stopped:
            found.append((row["reference"], ours, theirs, row["status"]))
    return found


def snapshot(conn: Any) -> Any:
    return conn.execute(
        """select (select count(*) from message_event) events, (select count(*) from inbound_message) replies, (select
        max(updated_at) from campaign_message) changed, (select count(*) from consent_event) consent"""
    ).fetchone()
