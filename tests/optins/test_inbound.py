"""START words as opt-ins: of people we know and of people we did not."""

from __future__ import annotations

from datetime import UTC, datetime

from psycopg.types.json import Jsonb

from include.entities.models import Columns
from tests.support.optins import NOW, Store, entity, source

COLUMNS = Columns(record_id="id", phone="number", consent="said", changed_at="occurred_at")
CHAT = source(
    "chat",
    kind="inbound",
    connection=None,
    columns=COLUMNS,
    method="keyword",
    options={"changed_column": "received_at"},
    optout=None,
)
BRAND = entity(CHAT)
AT = datetime(2026, 4, 1, 8, tzinfo=UTC)


def write(store: Store, raw: object, *, kind: str = "start", brand: str = "brand") -> None:
    store.execute(
        """insert into inbound_message (entity, webhook_key, kind, raw, occurred_at, received_at, source)
           values (%s, gen_random_uuid()::text, %s, %s, %s, %s, 'webhook')""",
        brand,
        kind,
        Jsonb(raw),
        AT,
        NOW,
    )


def test_whoever_wrote_start_is_subscribed_with_the_message_as_proof(store: Store) -> None:
    write(store, {"from": {"number": "0032470123456", "name": "An"}, "message": {"text": "START"}})
    write(store, {"From": {"Number": "+31612345678"}})
    write(store, {"from": "32470123457"})
    write(store, {"from": {"number": "+32470123458"}}, kind="reply")
    write(store, {"from": {"number": "+32470123459"}}, brand="other")
    write(store, {"nobody": 1})
    assert store.pull(BRAND, access=object()).staged == 3
    store.reconcile(BRAND)
    assert store.people() == {
        "+31612345678": "subscribed",
        "+32470123456": "subscribed",
        "+32470123457": "subscribed",
    }
    proof = store.rows("select source, method, occurred_at, wording_id from consent_event limit 1")
    assert proof == [{"source": "chat", "method": "keyword", "occurred_at": AT, "wording_id": "w1"}]


def test_only_what_came_since_the_last_time_is_read(store: Store) -> None:
    write(store, {"from": {"number": "+32470123456"}})
    store.pull(BRAND)
    store.reconcile(BRAND)
    store.execute("update inbound_message set received_at = %s", datetime(2026, 4, 1, tzinfo=UTC))
    assert store.pull(BRAND).pulled == 0
