"""One automatic answer to a STOP, a START or a call for help, where the entity has a text for it.

Planned in the transaction that records the message; `include.inbound.answering` sends it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from include.database import named_sql
from include.entities.models import Entity

SQL = named_sql(__file__, "answers.sql")
_REFERENCE = re.compile(r"answer\d{1,18}", re.ASCII)


def is_answer(reference: str | None) -> bool:
    """Whether a reference is that of an automatic answer."""
    return _REFERENCE.fullmatch(reference or "") is not None


def plan_answer(
    conn: psycopg.Connection[Any],
    entity: Entity,
    *,
    kind: str,
    inbound_id: int,
    subscription_id: int,
    consent_event_id: int | None,
    said_at: datetime,
) -> None:
    """Plan the answer to a message, if the entity has a text for it, in the caller's transaction. Repeatable."""
    if texts_of(entity, kind):
        SQL.plan(
            conn,
            entity=entity.name,
            kind=kind,
            inbound_id=inbound_id,
            subscription_id=subscription_id,
            consent_event_id=consent_event_id,
            said_at=said_at,
        )


def texts_of(entity: Entity, kind: str) -> Mapping[str, str]:
    """The entity's texts for a kind of message, by language; none: it is not answered."""
    texts: Mapping[str, str] = getattr(entity.settings.answers, kind, {})
    return texts


def apply_statuses(
    conn: psycopg.Connection[Any], told: Sequence[tuple[str, str, int | None]], *, entities: Sequence[str]
) -> set[str]:
    """Move answers by `(reference, status, code)`, in the caller's transaction. Returns the references of ours."""
    references, states, codes = (list(column) for column in zip(*told, strict=True))
    rows = SQL.statuses(conn, references=references, states=states, codes=codes, entities=list(entities))
    return {row["reference"] for row in rows}
