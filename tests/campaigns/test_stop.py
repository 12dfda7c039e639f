"""A hundred thousand people say stop while a campaign claims them: whoever's stop was committed first gets nothing.

Real connections, the real statement of the claim, both sides in nearly the same random order: each person is one
interleaving of a withdrawal and a claim. "Committed before" is measured by the machine's one monotonic clock: after the
commit's answer on the one side, before the claim's statement leaves on the other.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from include.campaigns.sender import _conditions
from include.campaigns.states import LEDGER
from include.campaigns.states import SQL as STATES
from include.database import connect
from include.subscriptions import withdraw
from tests.support.campaigns import acme, approve_templates, approved, subscribe

PEOPLE = int(os.environ.get("STOP_INTERLEAVINGS", "100000"))
TOGETHER = 100  # people of one claim, and of one transaction of withdrawals
BY_WORD = 300  # withdrawals that take the whole way of a STOP, one by one
NEARLY = 1000  # places by which the two orders differ at most
LEAD = 300  # people by which one side may be ahead of the other
CLOSE = 0.05  # seconds within which a claim and a stop count as contended


def test_nobody_is_claimed_after_their_stop(migrated_database: str, tell: Callable[[str], None]) -> None:
    dsn = migrated_database
    approve_templates(dsn, acme())
    subscribe(dsn, PEOPLE)
    with connect(dsn) as conn:
        conn.execute("update subscription set person_hash = convert_to(id::text, 'UTF8')")
    race = Race(dsn, approved(dsn, acme()).campaign_id)
    with ThreadPoolExecutor(6) as pool:
        jobs = [
            job
            for number in range(3)
            for job in (pool.submit(race.stop, number), pool.submit(race.claim, number))
        ]
        for job in jobs:
            job.result()

    claimed, stopped = race.claimed_at, race.stopped_at
    assert set(stopped) == claimed.keys() | race.turned_away == set(race.order)
    assert not claimed.keys() & race.turned_away
    too_late = {person for person, moment in claimed.items() if stopped[person] < moment}
    assert too_late == set(), "claimed although the stop was committed before the claim was sent"
    close = sum(abs(stopped[person] - moment) < CLOSE for person, moment in claimed.items())
    told = f"{len(claimed)} claimed first, {len(race.turned_away)} stopped first, {close} within {CLOSE * 1000:.0f} ms"
    tell(f"{PEOPLE} interleavings: {told}")
    assert min(len(claimed), len(race.turned_away)) > PEOPLE / 50, "both orders were met often"


class Race:
    """Claims of one campaign against stops of its people, in two orders that differ by at most `NEARLY` places."""

    def __init__(self, dsn: str, campaign_id: int) -> None:
        self._dsn = dsn
        self._lock = threading.Lock()
        self.stopped_at: dict[int, float] = {}
        self.claimed_at: dict[int, float] = {}
        self.turned_away: set[int] = set()
        with connect(dsn) as conn:
            conn.execute(
                """update campaign_message m set not_before = now() - interval '2 days'
                          + (r.place + random() * %s) * interval '1 second'
                   from (select id, row_number() over (order by hashint8(id)) as place from subscription) r
                   where r.id = m.subscription_id""",
                (NEARLY,),
            )
            STATES.start(conn, campaign_id=campaign_id, now=datetime.now(UTC))
            campaign = STATES.campaign(conn, campaign_id=campaign_id)
            people = conn.execute("select id from subscription order by hashint8(id)").fetchall()
        self.order = [row["id"] for row in people]
        self._stops = iter([self.order[at : at + TOGETHER] for at in range(0, PEOPLE, TOGETHER)])
        self._terms = {
            "month": campaign["month"],
            "campaign_id": campaign_id,
            **_conditions(acme(), campaign),
        }

    def stop(self, number: int) -> None:
        """Withdraw batch after batch, never far ahead of the claims."""
        with connect(self._dsn) as conn:
            while True:
                while len(self.stopped_at) > self._judged() + LEAD:
                    time.sleep(0.002)
                with self._lock:
                    people = next(self._stops, None)
                if people is None:
                    return
                whole_way = people[:3] if len(self.stopped_at) < BY_WORD * TOGETHER / 3 else []
                _stop(conn, people, whole_way, by_list=number % 2 == 1)
                conn.commit()
                self.stopped_at.update(dict.fromkeys(people, time.monotonic()))

    def claim(self, number: int) -> None:
        """Claim batch after batch, never far ahead of the stops."""
        with connect(self._dsn) as conn:
            conn.autocommit = True
            turn = 0
            while self._judged() < PEOPLE:
                while self._judged() > len(self.stopped_at) + LEAD and len(self.stopped_at) < PEOPLE:
                    time.sleep(0.002)
                turn, moment = turn + 1, time.monotonic()
                lane = {"lane": f"send-{number}/{turn}", "messages": TOGETHER}
                for row in conn.execute(LEDGER.claim.sql, {**self._terms, **lane}).fetchall():
                    if row["reason"] is None:
                        self.claimed_at[row["subscription_id"]] = moment
                    else:
                        assert row["reason"] in ("opted_out", "suppressed")
                        self.turned_away.add(row["subscription_id"])

    def _judged(self) -> int:
        return len(self.claimed_at) + len(self.turned_away)


def _stop(conn: Connection[Any], people: list[int], whole_way: list[int], *, by_list: bool) -> None:
    """Withdraw in one transaction: by the person's state or by the list of the suppressed; a STOP does both."""
    for person in whole_way:
        withdraw(
            conn,
            entity="acme",
            subscription_id=person,
            occurred_at=datetime.now(UTC),
            source="reply",
            source_record_id=f"stop-{person}",
            method="reply",
        )
    rest = people[len(whole_way) :]
    if by_list:
        conn.execute(
            "insert into suppression select entity, person_hash, 'opted_out', 'reply' from subscription "
            "where id = any (%s)",
            (rest,),
        )
    else:
        conn.execute("update subscription set status = 'unsubscribed' where id = any (%s)", (rest,))
