"""What of a form's values does not fit the entity: its templates, languages, buttons, sources and hours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time
from typing import TYPE_CHECKING, Any

from include.entities import Entity, Template

if TYPE_CHECKING:
    from include.campaigns.parameters import CampaignParameters, Hours


def reasons_against(
    entity: Entity, parameters: CampaignParameters, hours: tuple[Hours | None, Hours | None]
) -> list[str]:
    """Every reason, each with its place and what there is instead; none when the campaign can be planned."""
    templates = {template.name: template for template in entity.templates}
    names = parameters.template_names()
    reasons = [
        f"template {name!r} is not known; {entity.name} has {_listed(templates)}"
        for name in names
        if name not in templates
    ]
    reasons += _audience(entity, parameters)
    used = [templates[name] for name in names if name in templates]
    for template in used:
        if template.category != used[0].category:
            reasons.append(
                f"variant {template.name!r} is {template.category}, the template {used[0].category}"
            )
        reasons += _template(entity, parameters, template)
    window, quiet = hours
    minutes = [time(minute // 60, minute % 60) for minute in range(24 * 60)]
    if not any((window is None or now in window) and (quiet is None or now not in quiet) for now in minutes):
        reasons.append("window and quiet_hours leave no minute of the day to send in")
    if parameters.test_first and not (entity.settings.test_records or parameters.test_recipients):
        reasons.append("test_first needs test_recipients, or test_records in entity.yaml")
    return list(dict.fromkeys(reasons))


def _audience(entity: Entity, parameters: CampaignParameters) -> Iterator[str]:
    segments = {segment.name for segment in entity.segments} | {"everyone"}
    if parameters.segment not in segments:
        yield f"segment {parameters.segment!r} is not known; {entity.name} has {_listed(segments)}"
    sources = {source.name for source in entity.sources}
    for field, given in (
        ("recipients", parameters.recipients),
        ("test_recipients", parameters.test_recipients),
    ):
        if unknown := {recipient.source for recipient in given} - sources:
            yield f"{field} name the source(s) {_listed(unknown)}; {entity.name} has {_listed(sources)}"


def _template(entity: Entity, parameters: CampaignParameters, template: Template) -> Iterator[str]:
    has, languages = f"template {template.name!r} has", template.languages
    media = {text.header_media for text in languages.values()} - {None}
    if media and not parameters.header_media_url:
        yield f"{has} a header ({_listed(media)}): give header_media_url"
    if parameters.header_media_url and not media:
        yield f"{has} no picture, film or PDF in its header: leave header_media_url empty"
    if too_high := sorted(key for key in parameters.variables if int(key) > len(template.variables)):
        yield f"{has} no variable {', '.join(too_high)}; it has {len(template.variables)}"
    choices = [*parameters.variables.values(), *parameters.buttons.values()]
    named = {name for choice in choices if isinstance(choice, dict) for name in choice}
    if unknown := (named | ({parameters.language} - {None})) - set(languages):
        yield f"{has} no language {_listed(unknown)}; it has {_listed(languages)}"
    given = entity.attributes.union(*(recipient.variables for recipient in parameters.recipients))
    for language in languages:
        wrong = {
            value.attribute for value in parameters.values(template, language) if value.attribute
        } - given
        if wrong:
            yield f"variables or buttons: attribute {_listed(wrong)} comes from no source; there are {_listed(given)}"
        for number in parameters.buttons:
            yield from _button(parameters, template, language, number)


def _button(parameters: CampaignParameters, template: Template, language: str, number: str) -> Iterator[str]:
    value, buttons = parameters.button(int(number) - 1, language), template.languages[language].buttons
    if value is None:
        return
    if int(number) > len(buttons):
        yield f"template {template.name!r} has no button {number} in {language}; it has {len(buttons)}"
        return
    button = buttons[int(number) - 1]
    if button.type == "quick_reply" and value.payload is None:
        yield f"button {number} in {language} is a quick reply: it takes a payload"
    elif button.type == "url" and button.variable is None:
        yield f"button {number} in {language} has nothing to choose: its address is fixed, or a counted link"
    elif button.type == "url" and value.payload is not None:
        yield f"button {number} in {language} leads to an address: it takes an attribute or a constant, no payload"


def _listed(names: Any) -> str:
    return ", ".join(sorted(map(str, names))) or "none"
