"""Send the automatic answers that are due.

The discipline is that of every send: claimed in the database, posted, and its outcome written down; what never left is
planned again, what got no answer is uncertain and never repeated. It keeps to the integration's rate.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import psycopg

from include.campaigns.pacing import RateLease
from include.campaigns.reconnecting import Reconnecting
from include.campaigns.sender import read_outcomes
from include.database import connect, require_current
from include.entities import Entity
from include.inbound.answers import SQL, texts_of

log = logging.getLogger(__name__)
GROUPINGS = ("answers", "", "airflow-whatsapp")
# A post is answered within some 40 seconds or given up: whatever is older was left behind.
LEFT_BEHIND = timedelta(minutes=10)
AGAIN = timedelta(minutes=1)


class TextMessenger(Protocol):
    """What sends a free text, such as cm_com's messenger."""

    def encode_text(self, phone: str, text: str, reference: str, groupings: Sequence[str]) -> bytes: ...

    async def send(self, messages: Sequence[bytes]) -> Any: ...


def answer_due(
    entity: Entity,
    messenger: Callable[[], Any],
    *,
    dsn: str,
    messages_per_second: int,
    now: datetime,
    limit: int = 5_000,
) -> Counter[str]:
    """Send the answers that are due, and count what became of them. `messenger()` opens a TextMessenger.

    Safe to call twice at once and after a crash: nothing is posted twice. Raises DatabaseUnavailable, SchemaOutOfDate.
    """
    counts: Counter[str] = Counter()
    with connect(dsn, application="whatsapp answers") as conn:
        require_current(conn)
        conn.commit()
        conn.autocommit = True
        counts["uncertain"] += SQL.call_uncertain(conn, entity=entity.name, before=now - LEFT_BEHIND)
        counts["expired"] += SQL.expire(conn, entity=entity.name, now=now)
        if _is_due(conn, entity.name, now):
            lease = {
                "connection_id": entity.settings.connection,
                # Its own, for two that answer at once each have a share of the rate.
                "worker": f"answers/{uuid.uuid4().hex[:12]}",
                "rate": messages_per_second,
                # A few people at a time: the rest is the campaigns'.
                "own_rate": max(1, messages_per_second // 10),
            }
            asyncio.run(_send(conn, entity, messenger, dsn, lease, now, counts, limit))
    counts = +counts
    if counts:
        log.info("Answers of %s: %s", entity.name, dict(counts))
    return counts


def _is_due(conn: psycopg.Connection[Any], entity: str, now: datetime) -> bool:
    row = conn.execute(
        "select exists (select from answer where entity = %s and state = 'planned' and not_before <= %s) as due",
        (entity, now),
    ).fetchone()
    return bool(row and row["due"])


async def _send(
    conn: psycopg.Connection[Any],
    entity: Entity,
    messenger: Callable[[], Any],
    dsn: str,
    lease_of: dict[str, Any],
    now: datetime,
    counts: Counter[str],
    limit: int,
) -> None:
    async with (
        messenger() as gateway,
        RateLease(Reconnecting(dsn, application="whatsapp lease"), **lease_of) as lease,
    ):
        for _ in range(limit):
            await lease.admit(1)
            claimed = await asyncio.to_thread(lambda: list(SQL.claim(conn, entity=entity.name, now=now)))
            if not claimed or claimed[0]["state"] != "sending":
                lease.left(1, 0, 0.0)
                if not claimed:
                    return
                counts["expired"] += 1
                continue
            state, code, again_at = await _post(gateway, lease, claimed[0], entity, now)
            await asyncio.to_thread(
                SQL.outcome, conn, id=claimed[0]["id"], state=state, code=code, not_before=again_at
            )
            counts[state] += 1
            if state == "planned":
                return  # CM.com is not there, or takes nothing now: the next call goes on


async def _post(
    gateway: TextMessenger, lease: RateLease, row: dict[str, Any], entity: Entity, now: datetime
) -> tuple[str, int | None, datetime | None]:
    texts = texts_of(entity, row["kind"])
    text = next(
        (
            texts[language]
            for language in (row["language"], entity.settings.default_language)
            if language in texts
        ),
        next(iter(texts.values()), None),
    )
    if text is None:  # the entity's file has lost it meanwhile
        lease.left(1, 0, 0.0)
        return "expired", None, None
    try:
        message = gateway.encode_text(row["phone"], text, row["reference"], GROUPINGS)
    except ValueError:
        lease.left(1, 0, 0.0)
        return "rejected", None, None
    delivery = await gateway.send([message])
    never_left = delivery.outcome == "not_sent" and delivery.left_at is None
    lease.left(1, 0 if never_left else 1, delivery.left_at or time.monotonic())
    [state], [code] = read_outcomes(delivery, 1)
    again_at = now + max(AGAIN, timedelta(seconds=delivery.retry_after or 0)) if state == "planned" else None
    return state, code, again_at
