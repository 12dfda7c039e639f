"""A hundred thousand people say stop while a campaign claims them: whoever's stop was committed first gets nothing.

Real connections, the real statement of the claim, both sides in an order of their own: each person is one interleaving of
a withdrawal and a claim. "Committed before" is measured by the machine's one monotonic clock: after the commit's answer on
the one side, before the claim's statement leaves on the other.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

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


def test_nobody_is_claimed_after_their_stop(migrated_database: str) -> None:
    dsn = migrated_database
    approve_templates(dsn, acme())
    subscribe(dsn, PEOPLE)
    with connect(dsn) as conn:
        conn.execute("update subscription set person_hash = convert_to(id::text, 'UTF8')")
    plan = approved(dsn, acme())
    with connect(dsn) as conn:
        # Stops come in one random order, claims in nearly the same, so that both are often about one person at once.
        conn.execute(
            """update campaign_message m set not_before = now() - interval '2 days'
                      + (r.place + random() * %s) * interval '1 second'
               from (select id, row_number() over (order by hashint8(id)) as place from subscription) r
               where r.id = m.subscription_id""",
            (NEARLY,),
        )
        STATES.start(conn, campaign_id=plan.campaign_id, now=datetime.now(UTC))
        campaign = STATES.campaign(conn, campaign_id=plan.campaign_id)
        order = [
            row["id"] for row in conn.execute("select id from subscription order by hashint8(id)").fetchall()
        ]
    stops = iter(_batched(order))
    lock, stopped_at, claimed_at = threading.Lock(), {}, {}
    turned_away: set[int] = set()
    terms = {"month": campaign["month"], "campaign_id": campaign["id"], **_conditions(acme(), campaign)}

    def stop(number: int) -> None:
        with connect(dsn) as conn:
            while True:
                while len(stopped_at) > len(claimed_at) + len(turned_away) + LEAD:
                    time.sleep(0.002)
                with lock:
                    people = next(stops, None)
                if people is None:
                    return
                whole_way = people[:3] if len(stopped_at) < BY_WORD * TOGETHER / 3 else ()
                _stop(conn, people, whole_way, by_list=number % 2 == 1)
                conn.commit()
                moment = time.monotonic()
                stopped_at.update(dict.fromkeys(people, moment))

    def claim(number: int) -> None:
        with connect(dsn) as conn:
            conn.autocommit = True
            for turn in itertools.count():
                while (
                    len(claimed_at) + len(turned_away) > len(stopped_at) + LEAD and len(stopped_at) < PEOPLE
                ):
                    time.sleep(0.002)  # the faster side waits for the slower
                moment = time.monotonic()
                lane = {"lane": f"send-{number}/{turn}", "messages": TOGETHER}
                rows = conn.execute(LEDGER.claim.sql, {**terms, **lane}).fetchall()
                for row in rows:
                    if row["reason"] is None:
                        claimed_at[row["subscription_id"]] = moment
                    else:
                        assert row["reason"] in ("opted_out", "suppressed")
                        turned_away.add(row["subscription_id"])
                if not rows and len(claimed_at) + len(turned_away) == PEOPLE:
                    return

    with ThreadPoolExecutor(6) as pool:
        list(
            pool.map(
                lambda job: job[0](job[1]),
                [(stop, 0), (claim, 0), (stop, 1), (claim, 1), (stop, 2), (claim, 2)],
            )
        )

    assert set(stopped_at) == set(order)
    assert claimed_at.keys() | turned_away == set(order)
    assert not claimed_at.keys() & turned_away
    too_late = {person for person, moment in claimed_at.items() if stopped_at[person] < moment}
    assert too_late == set(), "claimed although the stop was committed before the claim was sent"
    close = sum(abs(stopped_at[person] - moment) < CLOSE for person, moment in claimed_at.items())
    print(f"{PEOPLE} interleavings: {len(claimed_at)} claimed first, {len(turned_away)} stopped first, {close} within "  # noqa: T201
          f"{CLOSE * 1000:.0f} ms")  # fmt: skip
    assert min(len(claimed_at), len(turned_away)) > PEOPLE / 50, "both orders were met often"


def _stop(
    conn: Connection[object], people: tuple[int, ...], whole_way: tuple[int, ...], *, by_list: bool
) -> None:
    """Withdraw in one transaction: by the person's state or by the list of the suppressed, as a STOP does both."""
    now = datetime.now(UTC)
    for person in whole_way:
        withdraw(
            conn,
            entity="acme",
            subscription_id=person,
            occurred_at=now,
            source="reply",
            source_record_id=f"stop-{person}",
            method="reply",
        )
    rest = [person for person in people if person not in whole_way]
    if by_list:
        conn.execute(
            "insert into suppression select entity, person_hash, 'opted_out', 'reply' from subscription where id = any (%s)",
            (rest,),
        )
    else:
        conn.execute("update subscription set status = 'unsubscribed' where id = any (%s)", (rest,))


def _batched(people: list[int]) -> list[tuple[int, ...]]:
    return [tuple(people[start : start + TOGETHER]) for start in range(0, len(people), TOGETHER)]
