"""From parameters to the audience's statement: the parts of `write_audience` that depend on what was asked.

Every value goes in as a literal that psycopg quotes; names are those of our own models, checked by their patterns.
"""

from __future__ import annotations

import json
import re

from psycopg import sql

from include.campaigns.parameters import CampaignParameters
from include.entities import Audience, Entity, Template, Variable
from include.entities.models import ILLEGAL

BASE = "base"
# Characters of a body with its values filled in (Cloud API, "Template components"; error 132005 above it).
LONGEST_BODY = 1024
_DID = {
    "sent": "accepted_at",
    "received": "delivered_at",
    "read": "read_at",
    "clicked": "clicked_at",
    "replied": "replied_at",
}


def compose(
    statement: str, entity: Entity, parameters: CampaignParameters, *, category: str, confirms: bool = False
) -> sql.Composed:
    """The statement with its braces filled in. With `confirms` it is for the people who have to confirm their yes."""
    templates = {name: entity.template(name) for name in parameters.template_names()}
    sources = {
        (name, language): parameters.values(template, language)
        for name, template in templates.items()
        for language in template.languages
    }
    count = max(map(len, sources.values()), default=0)
    values = [_value(sources, position) for position in range(count)]
    people, attributes = _people(parameters)
    over_budget, prices = _budget(parameters, category)
    return sql.SQL(statement).format(
        people=people,
        attributes=attributes,
        filters=to_confirm(entity) if confirms else _filters(entity, entity.segment(parameters.segment)),
        variant=_variant(parameters),
        template=_template(parameters),
        values=sql.SQL(", ").join(
            sql.SQL("{} as {}").format(value, sql.Identifier(f"v{n}")) for n, value in enumerate(values, 1)
        )
        if values
        else sql.SQL("1 as nothing"),
        variables=_variables({name: len(values) for (name, _), values in sources.items()}),
        unfit=_unfit(templates, sources, count),
        over_budget=over_budget,
        prices=prices,
    )


def to_confirm(entity: Entity) -> sql.Composable:
    """The condition on people `s` who are to be asked now whether they meant their yes; parameters `entity`, `now`.

    Not twice for one yes; not again while an earlier question can still be answered, for whoever answers that one
    has confirmed this one too; and where the question could not be sent (no template, no open hour), once a day.
    """
    choice = entity.settings.double_opt_in
    return sql.SQL(
        "s.status = 'pending' and not exists (select from campaign_message pm join campaign pc "
        "on pc.id = pm.campaign_id and pc.month = pm.month where pm.subscription_id = s.id "
        "and pc.entity = %(entity)s and (pc.parameters ->> 'confirms')::boolean and case "
        "when pm.state in ('excluded', 'expired') then pc.created_at > %(now)s::timestamptz - interval '1 day' "
        "else pm.state = 'planned' or pm.consent_event_id = s.consent_event_id "
        "or pm.claimed_at > %(now)s::timestamptz - make_interval(days => {}) end)"
    ).format(sql.Literal(choice.within_days if choice else 0))


def _people(parameters: CampaignParameters) -> tuple[sql.Composable, sql.Composable]:
    if not parameters.recipients:
        return sql.SQL("subscription s"), sql.SQL("s.attributes")
    given = json.dumps([recipient.model_dump() for recipient in parameters.recipients])
    joined = sql.SQL(
        "(select distinct on (r.subscription_id) r.subscription_id, coalesce(g.variables, '{{}}') as variables "
        "from jsonb_to_recordset({}::jsonb) as g (source text, record_id text, variables jsonb) "
        "join source_record r on r.entity = %(entity)s and r.source = g.source and r.record_id = g.record_id "
        "order by r.subscription_id) g join subscription s on s.id = g.subscription_id"
    ).format(sql.Literal(given))
    return joined, sql.SQL("s.attributes || g.variables")


def _filters(entity: Entity, segment: Audience) -> sql.Composable:
    conditions: list[sql.Composable] = [sql.SQL("true")]
    if segment.countries:
        conditions.append(sql.SQL("s.country = any ({})").format(sql.Literal(list(segment.countries))))
    if segment.languages:
        conditions.append(sql.SQL("s.language = any ({})").format(sql.Literal(list(segment.languages))))
    conditions += [
        sql.SQL("lower(s.attributes ->> {}) = any ({})").format(sql.Literal(name), sql.Literal(_texts(value)))
        for name, value in segment.attributes.items()
    ]
    if segment.inactive_days is not None:
        # What the row says by itself first: the ledgers are asked about few.
        since = sql.SQL("%(now)s::timestamptz - make_interval(days => {})").format(
            sql.Literal(segment.inactive_days)
        )
        conditions.append(
            sql.SQL(
                "coalesce(s.last_inbound_at < {since}, true) and coalesce(s.status_at < {since}, true) "
                "and coalesce(last_own_action(s) < {since}, true)"
            ).format(since=since)
        )
    for past in segment.past:
        conditions.append(
            sql.SQL(
                "{} exists (select from campaign_message pm join campaign pc on pc.id = pm.campaign_id "
                "and pc.month = pm.month where pm.subscription_id = s.id and pc.entity = {} and pc.name = {} "
                "and pc.created_at > %(now)s::timestamptz - make_interval(days => {}) and pm.{} is not null)"
            ).format(
                sql.SQL("not" if past.negate else ""),
                sql.Literal(entity.name),
                sql.Literal(past.campaign),
                sql.Literal(past.within_days),
                sql.Identifier(_DID[past.did]),
            )
        )
    return sql.SQL(" and ").join(conditions)


def _texts(value: object) -> list[str]:
    """The values of which one must match, as the lower-case text that jsonb gives them."""
    values = value if isinstance(value, tuple) else (value,)
    return [json.dumps(item) if isinstance(item, bool) else str(item).lower() for item in values]


def _variant(parameters: CampaignParameters) -> sql.Composable:
    """The variant's name by a hash of person and campaign, so that a repeated plan puts people where they were."""
    if not parameters.variants:
        return sql.SQL("null::text")
    bucket = "abs(mod(hashint8extended(s.id, %(campaign_id)s + 2), 100000))"
    cases, upper = [], 0.0
    for variant in parameters.variants:
        upper += variant.percent
        cases.append(
            sql.SQL(f"when {bucket} < {{}} then {{}}").format(
                sql.Literal(round(upper * 1000)), sql.Literal(variant.name)
            )
        )
    return sql.SQL("case {} else {} end").format(sql.SQL(" ").join(cases), sql.Literal(BASE))


def _template(parameters: CampaignParameters) -> sql.Composable:
    cases = [
        sql.SQL("when {} then {}").format(sql.Literal(variant.name), sql.Literal(variant.template))
        for variant in parameters.variants
    ]
    if not cases:
        return sql.SQL("{}::text").format(sql.Literal(parameters.template))
    return sql.SQL("case matched.variant {} else {} end").format(
        sql.SQL(" ").join(cases), sql.Literal(parameters.template)
    )


Sources = dict[tuple[str, str], list[Variable]]


def _value(sources: Sources, position: int) -> sql.Composable:
    """The text of one value; a CASE only where templates or languages differ in where it comes from."""
    by_choice: dict[Variable | None, list[tuple[str, str]]] = {}
    for place, variables in sources.items():
        by_choice.setdefault(variables[position] if position < len(variables) else None, []).append(place)
    if len(by_choice) == 1:
        return _text(next(iter(by_choice)))
    cases = [
        sql.SQL("when (a.template, a.message_language) in ({}) then {}").format(
            _places(places), _text(variable)
        )
        for variable, places in by_choice.items()
    ]
    return sql.SQL("case {} end").format(sql.SQL(" ").join(cases))


def _places(places: list[tuple[str, str]]) -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL("({}, {})").format(*map(sql.Literal, place)) for place in places)


def _text(variable: Variable | None) -> sql.Composable:
    if variable is None:
        return sql.SQL("''::text")
    if variable.constant is not None:
        return sql.SQL("{}::text").format(sql.Literal(variable.constant))
    return sql.SQL("coalesce(nullif(btrim(a.attributes ->> {}), ''), {}::text)").format(
        sql.Literal(variable.attribute), sql.Literal(variable.fallback)
    )


def _variables(counts: dict[str, int]) -> sql.Composable:
    def array(count: int) -> sql.Composable:
        names = sql.SQL(", ").join(sql.Identifier("a", f"v{n}") for n in range(1, count + 1))
        return sql.SQL("jsonb_build_array({})").format(names)

    if len(set(counts.values())) == 1:
        return array(next(iter(counts.values())))
    cases = [
        sql.SQL("when {} then {}").format(sql.Literal(name), array(count)) for name, count in counts.items()
    ]
    return sql.SQL("case a.template {} end").format(sql.SQL(" ").join(cases))


def _unfit(templates: dict[str, Template], sources: Sources, count: int) -> sql.Composable:
    """Whether a value is missing, blank, too long or illegal, or the body with its values is too long."""
    conditions: list[sql.Composable] = [sql.SQL("false")]
    for position in range(count):
        value = sql.Identifier("a", f"v{position + 1}")
        used = [
            (place, variables[position]) for place, variables in sources.items() if position < len(variables)
        ]
        absent = [place for place, variables in sources.items() if position >= len(variables)]
        in_address = [place for place, _ in used if position >= len(templates[place[0]].variables)]
        if all(_fits(variable, in_address=bool(in_address)) for _, variable in used):
            continue
        wrong: list[sql.Composable] = [
            sql.SQL("{v} is null or length({v}) > {longest} or {v} ~ {illegal}").format(
                v=value,
                longest=sql.Literal(min(v.max_length for _, v in used)),
                illegal=sql.Literal(rf"^\s*$|{ILLEGAL}"),
            )
        ]
        if in_address:
            wrong.append(_in(in_address, sql.SQL("{} ~ '\\s'").format(value)))
        condition = sql.SQL("({})").format(sql.SQL(" or ").join(wrong))
        conditions.append(sql.SQL("not {} and {}").format(_in(absent), condition) if absent else condition)
    return sql.SQL(" or ").join([*conditions, *_too_long(templates, sources)])


def _fits(variable: Variable, *, in_address: bool) -> bool:
    """Whether a value is the same for everybody, and right."""
    value = variable.constant
    if value is None or not value.strip() or len(value) > variable.max_length:
        return False
    return not re.search(ILLEGAL, value) and not (in_address and re.search(r"\s", value))


def _too_long(templates: dict[str, Template], sources: Sources) -> list[sql.Composable]:
    """Only for texts that their longest values could make too long."""
    conditions: list[sql.Composable] = []
    for (name, language), variables in sources.items():
        body = templates[name].languages[language].body
        times = [body.count(f"{{{{{n}}}}}") for n in range(1, len(templates[name].variables) + 1)]
        fixed = len(re.sub(r"\{\{\d+\}\}", "", body))
        if fixed + sum(n * v.max_length for n, v in zip(times, variables, strict=False)) <= LONGEST_BODY:
            continue
        lengths = [
            sql.SQL("{} * length({})").format(sql.Literal(n), sql.Identifier("a", f"v{place}"))
            for place, n in enumerate(times, 1)
        ]
        total = sql.SQL(" + ").join([sql.Literal(fixed), *lengths])
        too_long = sql.SQL("{} > {}").format(total, sql.Literal(LONGEST_BODY))
        conditions.append(_in([(name, language)], too_long))
    return conditions


def _in(places: list[tuple[str, str]], condition: sql.Composable | None = None) -> sql.Composable:
    here = sql.SQL("(a.template, a.message_language) in ({})").format(_places(places))
    return here if condition is None else sql.SQL("({} and ({}))").format(here, condition)


def _budget(parameters: CampaignParameters, category: str) -> tuple[sql.Composable, sql.Composable]:
    """Whoever would cost more than the budget has left is excluded, in an order that is nobody's advantage."""
    if parameters.budget is None:
        return sql.SQL("null::text"), sql.SQL("")
    over = sql.SQL(
        "case when sum(case when j.reason is null then p.price end) "
        "over (order by hashint8extended(j.id, 3), j.id) > {} then 'over_budget' end"
    ).format(sql.Literal(parameters.budget))
    prices = sql.SQL(
        "left join lateral (select r.price from rate r where r.country in (j.country, '**') and r.category = {} "
        "and r.effective_from <= %(now)s::date order by (r.country = '**'), r.effective_from desc limit 1) p on true"
    ).format(sql.Literal(category))
    return over, prices
