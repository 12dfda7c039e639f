"""What an approver sees: how many, why not the others, what it may cost, when it would be done. Counts, never
people.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from include.campaigns.plan import SQL
from include.campaigns.sender import templates_by_variant
from include.campaigns.states import read
from include.database import connect, require_current
from include.entities import Entity, Template
from include.entities.models import Button


@dataclass(frozen=True, slots=True)
class Preview:
    """A plan in figures. `cost` by currency, for the countries that have a rate; `unpriced` messages have
    none.
    """

    campaign_id: int
    name: str
    plan_hash: str
    template: str
    target: int
    planned: int
    excluded: dict[str, int]
    countries: dict[str, int]
    cost: dict[str, Decimal]
    unpriced: int
    duration: timedelta
    examples: list[str] = field(repr=False)
    expires_at: datetime | None


def preview(
    entity: Entity, campaign_id: int, *, dsn: str, messages_per_second: int, now: datetime
) -> Preview:
    """The figures of a plan, read from its ledger rows."""
    with connect(dsn, application="whatsapp preview") as conn:
        require_current(conn)
        campaign = read(conn, campaign_id)
        template = entity.template(campaign["parameters"]["template"])
        keys = {"month": campaign["month"], "campaign_id": campaign_id}
        waterfall = list(SQL.waterfall(conn, **keys))
        priced = list(SQL.planned_by_country(conn, **keys, category=template.category, today=now.date()))
        rows = list(SQL.examples(conn, **keys))
    templates = templates_by_variant(entity, campaign["parameters"])
    cost: dict[str, Decimal] = defaultdict(Decimal)
    for row in priced:
        if row["price"] is not None:
            cost[row["currency"]] += row["price"] * row["messages"]
    planned = sum(row["messages"] for row in priced)
    return Preview(
        campaign_id=campaign_id,
        name=campaign["name"],
        plan_hash=campaign["plan_hash"],
        template=template.name,
        target=campaign["target"],
        planned=planned,
        excluded={row["reason"]: row["messages"] for row in waterfall if row["state"] == "excluded"},
        countries={row["country"] or "??": row["messages"] for row in priced},
        cost=dict(cost),
        unpriced=sum(row["messages"] for row in priced if row["price"] is None),
        duration=timedelta(seconds=round(planned / messages_per_second)),
        examples=[render(templates[row["variant"]], row["language"], row["variables"]) for row in rows],
        expires_at=campaign["expires_at"],
    )


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
    if end is None:
        return f"[{button.text}]"
    return f"[{button.text}: {(button.url or '').replace('{{1}}', end)}]"


def as_markdown(figures: Preview) -> str:
    """The preview as the body of the approval."""
    lines = [
        f"**{figures.name}** sends template `{figures.template}` to **{figures.planned:,}** people.",
        "",
        "| | people |",
        "|---|---:|",
        f"| Target | {figures.target:,} |",
        *(
            f"| not sent: {reason.replace('_', ' ')} | {count:,} |"
            for reason, count in sorted(figures.excluded.items())
        ),
        f"| **Planned** | **{figures.planned:,}** |",
        "",
        "Countries: "
        + ", ".join(f"{country} {count:,}" for country, count in figures.countries.items())
        + ".",
        "",
        f"It takes about {figures.duration or timedelta(seconds=1)} at the given rate. {_cost(figures)}",
        "",
        *(line for example in figures.examples for line in (*_quoted(example), "")),
        f"You approve plan `{figures.plan_hash}` of campaign {figures.campaign_id}, and no other.",
    ]
    return "\n".join(lines)


def _cost(figures: Preview) -> str:
    if not figures.cost:
        return "The cost is not known: no rate is loaded for these countries."
    amounts = " + ".join(f"{amount:,.2f} {currency}" for currency, amount in figures.cost.items())
    more = (
        f"; {figures.unpriced:,} message(s) to countries without a rate come on top"
        if figures.unpriced
        else ""
    )
    return f"It costs at most {amounts} by the rates loaded{more}."


def _quoted(message: str) -> list[str]:
    """A message as a Markdown quotation; what a value may hold of Markdown or HTML stays text."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#|!~])", r"\\\1", message)
    return [f"> {line}  " for line in escaped.splitlines()]
