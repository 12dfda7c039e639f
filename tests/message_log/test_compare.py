"""A day of the ledger against the log: what is missing on either side, and the price."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from include.database import connect
from include.message_log import StatusEvent, apply_events, compare_day
from include.message_log.compare import DayCost
from tests.message_log.ledger import SENT, add_campaign, add_messages, add_people


def test_both_sides_of_a_day_and_its_cost(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        campaign = add_campaign(conn)
        people = add_people(conn, 6)
        logged, missing = (refs := add_messages(conn, campaign, people[:5]))[:3], refs[3:]
        add_messages(conn, campaign, people[5:], sent_at=SENT - timedelta(days=1))
        conn.execute(
            "update campaign_message set country = case when subscription_id % 2 = 0 then 'BE' else 'NL' end"
        )
        conn.execute("insert into rate values ('2026-01-01', 'BE', 'marketing', 0.05, 'EUR')")
        conn.execute("insert into rate values ('2026-07-01', 'BE', 'marketing', 0.06, 'EUR')")
        conn.execute("insert into rate values ('2027-01-01', 'BE', 'marketing', 0.09, 'EUR')")

        def event(reference: str, source: str, price: str | None = None) -> StatusEvent:
            return StatusEvent(
                reference=reference,
                status="delivered",
                occurred_at=SENT + timedelta(seconds=5),
                source=source,  # type: ignore[arg-type]  # a literal of the cases below
                price=Decimal(price) if price else None,
                currency="EUR" if price else None,
            )

        apply_events(
            conn, [event(logged[0], "webhook"), event(missing[0], "webhook")], entities=["acme"], now=SENT
        )
        told = [event(each, "log", "0.07") for each in logged] + [event("order 77", "log", "0.07")]
        apply_events(conn, told, entities=["acme"], now=SENT)
        conn.execute("update set_aside set received_at = %s", (SENT,))
        conn.commit()

    found = compare_day("acme", dsn=migrated_database, day=SENT.date())
    assert (found.accepted, found.logged, found.unheard, found.strangers) == (5, 3, 2, 1)
    assert [each.reference for each in found.missing] == missing
    belgian = sum(person % 2 == 0 for person in people[:3])
    assert found.costs == (DayCost("EUR", 3, Decimal("0.21"), Decimal("0.06") * belgian, 3 - belgian),)
    assert compare_day("acme", dsn=migrated_database, day=date(2026, 1, 1)).accepted == 0
