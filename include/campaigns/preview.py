"""What an approver sees: how many, why not the others, what it may cost, when it would be done. Counts, never
people.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from include.campaigns.forecast import Forecast, Pace, forecast
from include.campaigns.ledger import DailyLimit
from include.campaigns.parameters import Hours
from include.campaigns.plan import SQL
from include.campaigns.sender import templates_by_variant
from include.campaigns.states import read
from include.database import connect, require_current
from include.entities import Entity, Template
from include.entities.models import Button
from include.reports.figures import REASONS, reason_label

MOST_COUNTRIES = 12


@dataclass(frozen=True, slots=True)
class Country:
    """Planned people of one country, and what a delivered message to them costs (None: no rate)."""

    country: str
    people: int
    price: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """A plan in figures. `cost`: by currency, everybody at the present rates, for the countries that have one.

    `least_delivered`: the least share that was delivered in a campaign of the last 90 days (None: there was none); only
    what is delivered is billed.
    """

    campaign_id: int
    name: str
    plan_hash: str
    template: str
    category: str
    target: int
    planned: int
    excluded: dict[str, int]
    countries: list[Country]
    cost: dict[str, Decimal]
    least_delivered: Decimal | None
    forecast: Forecast
    pace: Pace
    zone: ZoneInfo
    examples: list[str] = field(repr=False)
    expires_at: datetime

    @property
    def unpriced(self) -> int:
        """People in countries without a rate."""
        return sum(country.people for country in self.countries if country.price is None)


def preview(
    entity: Entity,
    campaign_id: int,
    *,
    dsn: str,
    messages_per_second: int,
    now: datetime,
    shared_rate: int | None = None,
    daily: DailyLimit | None = None,
) -> Preview:
    """The figures of a plan, read from its ledger rows.

    `messages_per_second` is the campaign's, `shared_rate` the integration's (the same when left out), `daily` the
    portfolio's limit.
    """
    daily = daily or DailyLimit()
    with connect(dsn, application="whatsapp preview") as conn:
        require_current(conn)
        campaign = read(conn, campaign_id)
        parameters = campaign["parameters"]
        keys = {"month": campaign["month"], "campaign_id": campaign_id}
        waterfall = list(SQL.waterfall(conn, **keys))
        priced = [
            Country(row["country"] or "??", row["messages"], row["price"], row["currency"])
            for row in SQL.planned_by_country(conn, **keys, category=parameters["category"], today=now.date())
        ]
        rows = list(SQL.examples(conn, **keys))
        zones = SQL.planned_by_zone(conn, **keys, entity_zone=entity.settings.time_zone)
        people = {(row["wave"], row["zone"]): row["people"] for row in zones}
        others = SQL.waiting_elsewhere(conn, campaign_id=campaign_id, connection_id=campaign["connection_id"])
        used = SQL.used_by_hour(conn, portfolio=daily.portfolio, now=now)
        pace = Pace(
            rate=messages_per_second,
            shared=shared_rate or messages_per_second,
            others=others,
            daily=daily.people,
            used={row["hour"]: row["people"] for row in used},
        )
        lately = SQL.delivered_lately(conn, entity=entity.name, now=now)
    templates = templates_by_variant(entity, parameters)
    cost: dict[str, Decimal] = defaultdict(Decimal)
    for country in priced:
        if country.price is not None and country.currency is not None:
            cost[country.currency] += country.price * country.people
    return Preview(
        campaign_id=campaign_id,
        name=campaign["name"],
        plan_hash=campaign["plan_hash"],
        template=parameters["template"],
        category=parameters["category"],
        target=campaign["target"],
        planned=sum(country.people for country in priced),
        excluded={row["reason"]: row["messages"] for row in waterfall if row["state"] == "excluded"},
        countries=priced,
        cost=dict(cost),
        least_delivered=lately["share"],
        forecast=forecast(
            people,
            now=now,
            expires_at=campaign["expires_at"],
            hours=(_hours(parameters["window"]), _hours(parameters["quiet_hours"])),
            pace=pace,
            probe_wait=timedelta(minutes=parameters["probe_minutes"]),
        ),
        pace=pace,
        zone=entity.zone,
        examples=[render(templates[row["variant"]], row["language"], row["variables"]) for row in rows],
        expires_at=campaign["expires_at"],
    )


def _hours(frozen: dict[str, str] | None) -> Hours | None:
    return Hours.model_validate(frozen) if frozen else None


def render(template: Template, language: str, variables: list[str]) -> str:
    """A message as its recipient sees it: header, body with the variables filled in, footer, buttons."""
    text, count = template.languages[language], len(template.variables)
    # In one pass: a value that looks like a placeholder stays what it is.
    body = re.sub(r"\{\{(\d+)\}\}", lambda found: variables[int(found[1]) - 1], text.body)
    header = f"[{text.header_media}]" if text.header_media else text.header
    ends = dict(zip(text.url_variables, variables[count:], strict=True))
    buttons = " ".join(_button(button, ends.get(index)) for index, button in enumerate(text.buttons))
    return "\n".join(part for part in (header, body, text.footer, buttons) if part)


def _button(button: Button, end: str | None) -> str:
    if button.target is not None:
        return f"[{button.text}: {button.target}]"  # where people are redirected to, their click counted
    if end is None:
        return f"[{button.text}]"
    return f"[{button.text}: {(button.url or '').replace('{{1}}', end)}]"


def as_markdown(figures: Preview) -> str:
    """The preview as the body of the approval."""
    lines = [
        (
            f"**{figures.name}** sends the {figures.category} template `{figures.template}` to "
            f"**{figures.planned:,}** people."
        ),
        "",
        "| | people |",
        "|---|---:|",
        f"| Target | {figures.target:,} |",
        *(
            f"| not sent: {reason_label(reason).lower()} | {figures.excluded[reason]:,} |"
            for reason in sorted(figures.excluded, key=_order)
        ),
        f"| **Planned** | **{figures.planned:,}** |",
        "",
        "| Country | People | A delivered message | All of them |",
        "|---|---:|---:|---:|",
        *_countries(figures.countries),
        "",
        _cost(figures),
        "",
        _time(figures),
        "",
        *(line for example in figures.examples for line in (*_quoted(example), "")),
        (
            f"You approve plan `{figures.plan_hash}` of campaign {figures.campaign_id}, and no other. If anything of "
            "it changes before, the approval is void."
        ),
    ]
    return "\n".join(lines)


def _order(reason: str) -> int:
    names = list(REASONS)
    return names.index(reason) if reason in names else len(names)


def _countries(countries: list[Country]) -> list[str]:
    largest = sorted(countries, key=lambda country: -country.people)
    lines = []
    for country in largest[:MOST_COUNTRIES]:
        price, whole = "no rate", ""
        if country.price is not None:
            price = f"{country.price.normalize():f} {country.currency}"
            whole = f"{country.price * country.people:,.2f} {country.currency}"
        lines.append(f"| {country.country} | {country.people:,} | {price} | {whole} |")
    if rest := largest[MOST_COUNTRIES:]:
        lines.append(f"| {len(rest)} more | {sum(country.people for country in rest):,} | | |")
    return lines


def _cost(figures: Preview) -> str:
    if not figures.cost:
        return "The cost is not known: no rate is loaded for these countries (`whatsapp rates load FILE`)."
    share = figures.least_delivered
    least = " + ".join(
        f"{amount * (share or 0):,.2f} {currency}" for currency, amount in figures.cost.items()
    )
    most = " + ".join(f"{amount:,.2f} {currency}" for currency, amount in figures.cost.items())
    why = (
        f"as few as in your weakest campaign of 90 days, {share:.0%}," if share is not None else "none at all"
    )
    text = (
        f"Cost: between **{least}** (if {why} are delivered) and **{most}** (if all are); "
        "only delivered messages are billed."
    )
    if figures.unpriced:
        text += f" {figures.unpriced:,} message(s) to countries without a rate come on top."
    return text


def _time(figures: Preview) -> str:
    found, pace = figures.forecast, figures.pace
    if found.begins is None:
        return (
            f"**Nobody can be written to before the campaign ends** ({_clock(figures.expires_at, figures)})."
        )
    at = f"{min(pace.rate, pace.shared):,} messages a second"
    because = {
        "hours": ", mostly waiting for people's hours",
        "limit": f", mostly waiting for the limit of {pace.daily or 0:,} people in 24 hours",
        "probe": ", mostly waiting for the probe's verdict",
    }.get(found.waits_for, "")
    begin = f"If approved now, it begins {_clock(found.begins, figures)}"
    others = f"; {pace.others:,} messages of other campaigns share the integration" if pace.others else ""
    if found.ends is None:
        return (
            f"{begin} at {at}{because}{others}. **{found.left:,} people would not have had it when the campaign ends** "
            f"{_clock(figures.expires_at, figures)}."
        )
    return f"{begin} and is done about **{_clock(found.ends, figures)}** at {at}{because}{others}."


def _clock(moment: datetime, figures: Preview) -> str:
    return f"{moment.astimezone(figures.zone):%a %d %b %H:%M:%S} ({figures.zone.key})"


def _quoted(message: str) -> list[str]:
    """A message as a Markdown quotation; what a value may hold of Markdown or HTML stays text."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#|!~])", r"\\\1", message)
    return [f"> {line}  " for line in escaped.splitlines()]
