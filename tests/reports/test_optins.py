"""People by status follow the consent ledger; rejected records count once."""

from __future__ import annotations

from datetime import timedelta

from include.database import connect
from include.reports import refresh
from include.reports.optins import optins, refresh_statuses, rejects
from tests.support.ledger import START, add_campaign, many

SINCE = START - timedelta(days=90)


def test_people_by_status_are_counted_when_consent_changed(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        add_campaign(conn, outcomes=many(3, state="planned"))
        refresh("acme", dsn=migrated_database, now=START)
        assert statuses(conn) == {"subscribed": 3}
        assert not refresh_statuses(conn, "acme", now=START)
        conn.execute("update subscription set status = 'unsubscribed'")
        conn.execute(
            """insert into consent_event (subscription_id, action, occurred_at, source, source_record_id)
               select min(id), 'withdraw', now(), 'webshop', 'x' from subscription"""
        )
        assert refresh_statuses(conn, "acme", now=START)
        assert statuses(conn) == {"unsubscribed": 3}
        assert optins(conn, "nobody", since=SINCE, now=START)["statuses"] == []


def test_a_record_rejected_in_several_runs_counts_once_with_its_newest_reason(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        for number, reason in enumerate(("invalid_number", "not_mobile")):
            conn.execute(
                """with run as (insert into sync_run (entity, source, run_key, state)
                                values ('acme', 'webshop', %(key)s, 'applied') returning id)
                   insert into rejected_record (sync_run_id, entity, source, record_id, reason, rejected_at)
                   select id, 'acme', 'webshop', record, %(reason)s, %(at)s
                   from run, unnest(array['a', null]) as record""",
                {"key": f"r{number}", "reason": reason, "at": START},
            )
        found = {
            row["reason"]: row["records"] for row in optins(conn, "acme", since=SINCE, now=START)["rejects"]
        }
        assert found == {"not_mobile": 2, "invalid_number": 1}
        rows, following = rejects(conn, "acme", source="webshop", reason="not_mobile", since=SINCE)
        assert ([row["record_id"] for row in rows], following) == (["a", None], None)
        assert optins(conn, "acme", since=START + timedelta(days=1), now=START)["rejects"] == []


def statuses(conn: object) -> dict[str, int]:
    rows = optins(conn, "acme", since=SINCE, now=START)["statuses"]  # type: ignore[arg-type]
    return {row["status"]: row["people"] for row in rows}
