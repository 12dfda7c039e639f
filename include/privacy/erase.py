"""Erasure: everything that says who a person is goes; a keyed hash stays, so that no source brings the person
back.
"""

from __future__ import annotations

from datetime import datetime

from include.database import connect, require_current
from include.privacy.retain import SQL
from include.subscriptions import hold_entity


class PersonUnknown(Exception):
    """No person of the entity is known by that record; nothing was erased."""


def erase(entity_name: str, *, source: str, record_id: str, actor: str, dsn: str, now: datetime) -> int:
    """Erase whoever a source's record speaks of, in one transaction; returns how many people that were.

    The record is named by the source's own id, so that no phone number stands in a Dag run's configuration.
    The ledger's rows and the consent events stay (the figures and the proof), without anything that
    identifies. Raises PersonUnknown.
    """
    with connect(dsn, application="whatsapp erasure") as conn:
        require_current(conn)
        hold_entity(conn, entity_name)
        found = SQL.people_of_record(conn, entity=entity_name, source=source, source_record_id=record_id)
        people = [row["id"] for row in found]
        if not people:
            raise PersonUnknown(
                f"Source {source!r} of {entity_name} has never sent a record of that id. Check the id and the "
                "source's name; nothing was erased."
            )
        SQL.suppress_for_good(conn, people=people)
        SQL.record_erasure(
            conn,
            people=people,
            now=now,
            actor=actor,
            source="privacy",
            source_record_id=f"{source}:{record_id}",
        )
        SQL.blank_people(conn, people=people, now=now)
        SQL.blank_records(conn, people=people)
        SQL.expire_media(conn, people=people)
        SQL.blank_replies(conn, people=people)
        SQL.blank_messages(conn, people=people)
        SQL.drop_planned(conn, people=people, now=now)
        return len(people)
