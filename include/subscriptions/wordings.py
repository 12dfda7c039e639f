"""What people were told when they said yes (C2): recorded once, never changed."""

from __future__ import annotations

from typing import Any

import psycopg

from include.database import named_sql
from include.entities import Entity

queries = named_sql(__file__, "reconcile.sql")


class WordingChanged(Exception):
    """An entity's YAML says something else under a wording id that people have already agreed to."""


def record_wordings(conn: psycopg.Connection[Any], entity: Entity) -> None:
    """Record the entity's wordings. Raises WordingChanged with id and remedy; in the caller's transaction."""
    known = {
        (row["wording_id"], row["language"]): (row["wording"], row["privacy_notice"])
        for row in queries.known_wordings(conn, entity=entity.name)
    }
    new = []
    for wording in entity.settings.wordings:
        for language, text in wording.texts.items():
            recorded = known.get((wording.id, language))
            if recorded is None:
                new.append(
                    {
                        "entity": entity.name,
                        "wording_id": wording.id,
                        "language": language,
                        "wording": text,
                        "valid_from": wording.valid_from,
                        "privacy_notice": wording.privacy_notice,
                        "evidence": wording.evidence,
                        "approved_by": wording.approved_by,
                    }
                )
            elif recorded != (text, wording.privacy_notice):
                raise WordingChanged(
                    f"The wording {wording.id!r} ({language}) of {entity.name!r} is not what people agreed to. Put the "
                    "former text and privacy_notice back in entity.yaml and give the new text a new id; nothing was "
                    "changed."
                )
    if new:
        queries.add_wordings(conn, new)
