"""The form of a campaign as Airflow's Params. What Airflow checks here is checked again when it is planned."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from include.entities import CampaignDefinition, Entity
from wiring import schemas


def campaign_form(entity: Entity, definition: CampaignDefinition | None = None) -> dict[str, Param]:
    """The fields of `send_campaign`, filled in from a campaign's file where there is one."""
    templates = [template.name for template in entity.templates] or [""]
    segments = ["everyone", *(segment.name for segment in entity.segments)]
    given: dict[str, Any] = {}
    if definition is not None:
        given = {"name": definition.name, "template": definition.template, "segment": definition.segment}
        given |= {"dry_run": False, **definition.options}

    def field(name: str, default: Any, title: str, description: str, **schema: Any) -> Param:
        return Param(given.get(name, default), title=title, description_md=description, **schema)

    form = {
        "name": field(
            "name",
            "",
            "Name",
            "How the report calls this campaign.",
            type="string",
            minLength=1,
            maxLength=80,
            pattern=r"\S",
        ),
        "template": field(
            "template",
            templates[0],
            "Template",
            "The approved message: in a person's own language if the template has it, else in the entity's.",
            type="string",
            enum=templates,
        ),
        "language": field(
            "language",
            None,
            "Language",
            "Leave empty: each person gets their own, if the template has it, else the entity's. Or one for everybody.",
            type=["string", "null"],
            enum=[None, *schemas.languages(entity)],
            values_display={"null": "each person's own"},
        ),
        "segment": field(
            "segment",
            "everyone",
            "Segment",
            "Who, among the people who opted in. Segments are files: attributes, countries, languages, and "
            "what people did with earlier campaigns.",
            type="string",
            enum=segments,
        ),
        "dry_run": field(
            "dry_run",
            True,  # noqa: FBT003 - the field's default
            "Dry run",
            "Plan and show the figures, send nothing. Switch off to send after an approval.",
            type="boolean",
        ),
        "test_first": field(
            "test_first",
            False,  # noqa: FBT003 - the field's default
            "Send to the test people first",
            "The test people get the real message before the approval is asked for.",
            type="boolean",
        ),
        "test_recipients": field(
            "test_recipients",
            None,
            "Test people",
            'Leave empty for the entity\'s `test_records`. Else: `[{"source": "webshop", "record_id": "C-1"}]`. '
            "They need a consent like everybody.",
            section="Audience",
            **schemas.people(entity, most=20, with_variables=False),
        ),
    }
    form |= {
        "variables": field(
            "variables",
            None,
            "Variables",
            "To fill a variable otherwise than the template's file says, by its number: "
            '`{"2": {"constant": "SUMMER26"}}`, `{"1": {"attribute": "first_name", "fallback": "friend"}}`, or per '
            'language `{"2": {"nl": {"constant": "ZOMER"}, "fr": {"constant": "ETE"}}}`. Attributes: '
            f"{', '.join(sorted(entity.attributes)) or 'none'}.",
            section="Message",
            **schemas.variables(entity),
        ),
        "buttons": field(
            "buttons",
            None,
            "Buttons",
            "What a button carries instead of what the template's file says, by its number: a quick reply's payload "
            '`{"1": {"payload": "SHOW_SPRING"}}`, the end of a URL button\'s address '
            '`{"2": {"attribute": "order_number", "fallback": "orders"}}`. Per language like the variables.',
            section="Message",
            **schemas.buttons(entity),
        ),
        "variants": field(
            "variants",
            None,
            "Variants",
            'Other versions and their shares: `[{"name": "b", "template": "spring_sale_b", "percent": 20}]`. The rest '
            "gets the template above. The same person always falls into the same variant of a campaign.",
            section="Message",
            **schemas.variants(entity),
        ),
        "header_media_url": field(
            "header_media_url",
            None,
            "Picture, film or PDF in the header",
            "A public https address that ends in the file's name; only for templates with such a header.",
            type=["string", "null"],
            pattern=r"^https://[^\s]+\.[A-Za-z0-9]{2,5}$",
            maxLength=2000,
            section="Message",
        ),
        "recipients": field(
            "recipients",
            None,
            "Recipients",
            'Only these people, by a source\'s own id: `[{"source": "webshop", "record_id": "C-1042", "variables": '
            '{"order_number": "A-17"}}]`. For messages that another system triggers. Never a phone number.',
            section="Audience",
            **schemas.people(entity, most=10_000, with_variables=True),
        ),
        "holdout_percent": field(
            "holdout_percent",
            0,
            "Holdout (%)",
            "Share of the audience that gets nothing, to measure what the campaign brings.",
            type="number",
            minimum=0,
            maximum=50,
            section="Audience",
        ),
        "max_messages_per_week": field(
            "max_messages_per_week",
            None,
            "Marketing messages per person and week",
            "Leave empty for the entity's own cap. Over all of its campaigns.",
            type=["integer", "null"],
            minimum=1,
            maximum=50,
            section="Audience",
        ),
    }
    return form | _pace(field)


def _pace(field: Any) -> dict[str, Param]:
    return {
        "window": field(
            "window",
            None,
            "Sending window",
            'By each person\'s own clock: `{"start": "09:00", "end": "20:00"}`; may cross midnight. '
            "Leave empty for the entity's.",
            section="Pace",
            **schemas.HOURS,
        ),
        "quiet_hours": field(
            "quiet_hours",
            None,
            "Quiet hours",
            'By each person\'s own clock: `{"start": "22:00", "end": "07:00"}`. Nobody is written to then, whatever '
            "the window says. Leave empty for the entity's.",
            section="Pace",
            **schemas.HOURS,
        ),
        "expires_hours": field(
            "expires_hours",
            72,
            "Expires after (hours)",
            "What has not left by then is not sent any more.",
            type="integer",
            minimum=1,
            maximum=720,
            section="Pace",
        ),
        "messages_per_second": field(
            "messages_per_second",
            None,
            "Messages per second",
            "Leave empty for the integration's own rate.",
            type=["integer", "null"],
            minimum=1,
            maximum=1000,
            section="Pace",
        ),
        "workers": field(
            "workers",
            2,
            "Workers",
            "Sending tasks side by side; they share the rate.",
            type="integer",
            minimum=1,
            maximum=4,
            section="Pace",
        ),
        "probe_percent": field(
            "probe_percent",
            0,
            "Probe (%)",
            "Send to this share first and wait for what comes back before the rest goes.",
            type="number",
            minimum=0,
            maximum=50,
            section="Care",
        ),
        "probe_minutes": field(
            "probe_minutes",
            30,
            "Probe: wait at most (minutes)",
            "The rest goes earlier once every message of the probe has a final status.",
            type="integer",
            minimum=1,
            maximum=1440,
            section="Care",
        ),
        "probe_max_failed_percent": field(
            "probe_max_failed_percent",
            10,
            "Probe: failures allowed (%)",
            "Above it the campaign pauses. People who cannot be reached do not count.",
            type="number",
            minimum=0,
            maximum=100,
            section="Care",
        ),
        "attempts": field(
            "attempts",
            1,
            "Attempts",
            "2 or 3: messages that failed for a passing reason are sent again, those that Meta limited after 24 hours.",
            type="integer",
            minimum=1,
            maximum=3,
            section="Care",
        ),
        "budget": field(
            "budget",
            None,
            "Budget",
            "In the currency of the rates. Whoever would cost more is left out. Needs rates for every country.",
            type=["number", "null"],
            exclusiveMinimum=0,
            section="Care",
        ),
    }
