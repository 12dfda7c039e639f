"""The funnel of a campaign and the list of campaigns, as pages, exports and the console show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

from include.reports.rollup import SQL, Row, campaign_header, count

# All but authentication messages live 30 days (whatsapp_rules.md B.2); a day more for the statuses to arrive.
LIFETIME = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Funnel:
    """Every figure of one campaign. Counts are people (`clicks` are not); rates 0 to 1, None where nothing was
    delivered.
    """

    campaign_id: int
    entity: str
    name: str
    state: str
    state_reason: str | None
    target: int
    excluded: int
    planned: int
    waiting: int
    sending: int
    uncertain: int
    expired: int
    rejected: int
    accepted: int
    awaiting: int
    failed: int
    delivered: int
    read: int
    clicked: int
    clicks: int
    replied: int
    opted_out: int
    balance: int
    cost: Decimal | None
    cost_currency: str | None
    cost_estimated: bool
    cost_unpriced: int
    last_accepted_at: datetime | None
    refreshed_at: datetime
    is_behind: bool
    reasons: tuple[Row, ...]
    countries: tuple[Row, ...]
    hours: tuple[Row, ...]
    variants: tuple[Row, ...]
    times: tuple[Row, ...]
    links: tuple[Row, ...]

    @property
    def attempts(self) -> list[tuple[int, int]]:
        """(attempt, people delivered on it), for the attempts there were; whoever is failed was given up."""
        found: dict[int, int] = {}
        for row in self.variants:
            found[row["attempt"]] = found.get(row["attempt"], 0) + row["delivered"]
        return sorted(found.items())

    @property
    def delivery_rate(self) -> float | None:
        """Delivered / accepted."""
        return _share(self.delivered, self.accepted)

    @property
    def read_rate(self) -> float | None:
        """Read / delivered; a lower bound, since receipts can be off."""
        return _share(self.read, self.delivered)

    @property
    def click_rate(self) -> float | None:
        """Unique clickers / delivered."""
        return _share(self.clicked, self.delivered)

    @property
    def reply_rate(self) -> float | None:
        """People whose first reply came within 72 h of delivery / delivered."""
        return _share(self.replied, self.delivered)

    @property
    def opt_out_rate(self) -> float | None:
        """People who opted out within 7 days of delivery / delivered."""
        return _share(self.opted_out, self.delivered)

    @property
    def in_flight(self) -> int:
        """People whose outcome is not known yet: waiting, sending, uncertain, awaiting a status."""
        return self.waiting + self.sending + self.uncertain + self.awaiting

    def is_partial(self, now: datetime) -> bool:
        """Whether the figures can still grow: something waits or is sent, or a status may still come."""
        still_coming = self.last_accepted_at is not None and now < self.last_accepted_at + LIFETIME
        return bool(self.waiting or self.sending) or (bool(self.awaiting or self.uncertain) and still_coming)

    def excluded_by_reason(self) -> list[tuple[str, int]]:
        """(reason, people), the most frequent first."""
        return [(row["reason"], row["messages"]) for row in self.reasons if row["bucket"] == "excluded"]


def funnel(conn: psycopg.Connection[Any], campaign_id: int, *, live: bool = False) -> Funnel:
    """The campaign's figures: the roll-up, or counted in the ledger when `live` or never refreshed.

    A roll-up older than the ledger says so (`is_behind`). Raises CampaignUnknown.
    """
    header = campaign_header(conn, campaign_id)
    # Rows that are kept no longer cannot be counted: what was counted last stands.
    live = live and header["forgotten_at"] is None
    stored = None if live else SQL.read_campaign(conn, campaign_id=campaign_id)
    if stored is None:
        rollup = count(conn, campaign_id)
        return _build(
            header,
            {**rollup.totals, "refreshed_at": datetime.now(UTC), "is_behind": False},
            rollup.reasons,
            rollup.countries,
            rollup.hours,
            rollup.variants,
            rollup.times,
            rollup.links,
        )
    return _build(
        header,
        stored,
        SQL.read_reasons(conn, campaign_id=campaign_id),
        SQL.read_countries(conn, campaign_id=campaign_id),
        SQL.read_hours(conn, campaign_id=campaign_id),
        SQL.read_variants(conn, campaign_id=campaign_id),
        SQL.read_times(conn, campaign_id=campaign_id),
        SQL.read_links(conn, campaign_id=campaign_id),
    )


def campaigns(conn: psycopg.Connection[Any], entities: str | Sequence[str], *, most: int = 200) -> list[Row]:
    """The newest campaigns of the entities, a dict each, figures None before the first refresh."""
    names = [entities] if isinstance(entities, str) else list(entities)
    return list(SQL.list_campaigns(conn, entities=names, most=most))


def _build(header: Row, totals: Row, *parts: Any) -> Funnel:
    names = [field.name for field in fields(Funnel)]
    known: dict[str, Any] = {**header, **totals, "campaign_id": header["id"]}
    known |= zip(
        ("reasons", "countries", "hours", "variants", "times", "links"), map(tuple, parts), strict=True
    )
    return Funnel(**{name: known[name] for name in names})


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
