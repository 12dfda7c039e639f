"""What CM.com says of the templates, kept for the moment of sending: only APPROVED may be sent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from include.database import connect, named_sql, require_current
from include.entities import Entity

SQL = named_sql(__file__, "templates.sql")


class RemoteTemplate(Protocol):
    """One template in one language, as the gateway tells it."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def category(self) -> str | None: ...
    @property
    def quality(self) -> str: ...


def sync_templates(
    entity: Entity, remote: Iterable[RemoteTemplate] | None, *, dsn: str, now: datetime
) -> dict[str, int]:
    """Record the state of every template the entity uses; returns counts by state. `remote` None: all are
    taken as approved.

    A template CM.com does not know is MISSING.

    A template of the same name in another namespace, or of another category than our file says, is as good as
    missing: sending it would fail, or be counted and priced as something else.
    """
    told = {(item.namespace, item.name, item.language): item for item in remote or ()}
    counts: dict[str, int] = {}
    with connect(dsn, application="whatsapp templates") as conn:
        require_current(conn)
        for template in entity.templates:
            for language, text in template.languages.items():
                item = told.get((template.namespace, template.name, language))
                status = (item.status.upper() or "UNKNOWN") if item else "MISSING"
                if remote is None:
                    status = "APPROVED"
                if item and item.category and item.category.lower() != template.category:
                    status = "CATEGORY_DIFFERS"
                counts[status] = counts.get(status, 0) + 1
                SQL.record_template(
                    conn,
                    entity=entity.name,
                    name=template.name,
                    language=language,
                    namespace=template.namespace,
                    category=template.category,
                    status=status,
                    quality=item.quality if item and item.quality else None,
                    components=text.model_dump_json(),
                    variables=json.dumps([variable.model_dump() for variable in template.variables]),
                    now=now,
                )
    return counts
