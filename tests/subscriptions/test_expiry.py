"""People who have not been heard of for too long: asked again before, expired after, and back with a newer yes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.database import connect
from include.entities import Entity
from include.entities.models import Audience, Retention
from include.subscriptions import expire_inactive, rebuild
from tests.support.campaigns import acme as sample
from tests.support.campaigns import approve_templates, planned, subscribe
from tests.support.optins import NOW, Store, entity, source

BRAND = entity(source(), retention=Retention(inactive_person_days=100))
DAY = timedelta(days=1)


def said(store: Store, *rows: tuple[str, str, int]) -> None:
    """Records (id, yes or no, days ago)."""
    store.sync(
        BRAND,
        [(n, f"047012345{n}", what, (NOW - ago * DAY).isoformat(), "", "", "") for n, what, ago in rows],
    )


def test_who_did_nothing_for_so_long_expires_and_a_newer_yes_lifts_it(store: Store) -> None:
    said(store, ("1", "yes", 101), ("2", "yes", 99), ("3", "yes", 300), ("4", "yes", 300), ("5", "no", 300))
    # 3 wrote and 4 clicked lately; 4's rows may be gone by then.
    for number, column, ago in (("3", "last_inbound_at", 50), ("4", "last_action_at", 50)):
        store.execute(
            f"update subscription set {column} = %s where phone like %s",  # noqa: S608 - our own names
            NOW - ago * DAY,
            f"%{number}",
        )
    assert expire_inactive(BRAND, dsn=store.dsn, now=NOW) == 1
    states = [row["status"] for row in store.rows("select status from subscription order by phone")]
    assert states == ["expired", "subscribed", "subscribed", "subscribed", "unsubscribed"]
    (event,) = store.rows("select * from v_consent where action = 'expire'")
    assert (event["method"], event["source"], event["is_present_state"]) == ("inactive", "expiry", True)
    assert expire_inactive(BRAND, dsn=store.dsn, now=NOW) == 0
    with connect(store.dsn) as conn:
        assert rebuild(conn, BRAND, now=NOW) == 0
    said(store, ("1", "yes", 101))
    assert store.people()["+32470123451"] == "expired", "what the source said before is no new yes"
    store.sync(BRAND, [("1", "0470123451", "yes", (NOW + DAY).isoformat(), "", "", "")], now=NOW + 2 * DAY)
    assert store.people()["+32470123451"] == "subscribed"


def test_thousands_expire_in_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.subscriptions.expiry.BATCH", 400)
    subscribe(store.dsn, 1000)
    acme = _acme(inactive_person_days=30)
    assert expire_inactive(acme, dsn=store.dsn, now=datetime.now(UTC) + 31 * DAY) == 1000
    assert store.value("select count(*) from subscription where status = 'expired'") == 1000


def test_a_segment_finds_them_before_so_that_they_can_be_asked(store: Store) -> None:
    acme = _acme(inactive_person_days=1095)
    quiet = Audience(name="quiet", inactive_days=1000)
    acme = acme.model_copy(update={"segments": (quiet,)})
    approve_templates(store.dsn, acme)
    subscribe(store.dsn, 4)
    store.execute("update subscription set status_at = now() - interval '1010 days'")
    store.execute("alter table consent_event disable trigger consent_event_append_only")
    store.execute("update consent_event set occurred_at = now() - interval '1010 days'")
    store.execute("alter table consent_event enable trigger consent_event_append_only")
    store.execute("update subscription set last_inbound_at = now() - interval '10 days' where id = 1")
    first = planned(store.dsn, acme, segment="quiet", run_key="ask")
    assert (first.target, first.planned) == (3, 3)
    store.execute("update campaign_message set clicked_at = now() where subscription_id = 2")
    again = planned(store.dsn, acme, segment="quiet", run_key="again", max_messages_per_week=50, name="Again")
    assert again.target == 2, "who clicked is active again"


def _acme(**periods: int) -> Entity:
    found = sample()
    retention = Retention(**periods)
    return found.model_copy(update={"settings": found.settings.model_copy(update={"retention": retention})})
