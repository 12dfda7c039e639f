"""The tracked buttons of a campaign: written with its plan, read by its senders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from include.database import named_sql
from include.entities.models import Entity, Template
from include.links.targets import with_utm

SQL = named_sql(__file__, "links.sql")

CampaignLinks = Mapping[tuple[str, str], tuple[tuple[int, int], ...]]
"""By template and language: `(button's index, link id)` of every tracked button."""


def store_links(
    conn: psycopg.Connection[Any],
    entity: Entity,
    templates: Iterable[Template],
    *,
    campaign_id: int,
    name: str,
) -> None:
    """Freeze where the buttons of a campaign's templates lead, in the transaction of its plan."""
    for template in templates:
        for language, text in template.languages.items():
            for index, button in enumerate(text.buttons):
                if button.target is not None:
                    SQL.store(
                        conn,
                        campaign_id=campaign_id,
                        template=template.name,
                        language=language,
                        button=index,
                        label=button.text,
                        target=with_utm(
                            button.target,
                            entity.settings.links,
                            campaign=name,
                            content=f"{template.name}.{language}.{index}",
                        ),
                    )


def campaign_links(conn: psycopg.Connection[Any], campaign_id: int) -> CampaignLinks:
    """The tracked buttons of a campaign; none for one that has none."""
    found: dict[tuple[str, str], tuple[tuple[int, int], ...]] = {}
    for row in SQL.of_campaign(conn, campaign_id=campaign_id):
        key = (row["template"], row["language"])
        found[key] = (*found.get(key, ()), (row["button"], row["id"]))
    return found
