"""The parameters of a campaign run: validated once, frozen, hashed."""

from __future__ import annotations

import hashlib
import json
from datetime import time
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from include.campaigns.errors import ParametersInvalid
from include.entities import Entity, Template, Variable
from include.entities.models import Language, Model, Name

# A window that covers the day is none: nobody's clock has to be asked.
ALL_DAY = (time(0), time(23, 59))


class Recipient(Model):
    """One person given by a source's own id (never by number), with values of their own for this message."""

    source: Name
    record_id: str = Field(min_length=1, max_length=200)
    variables: dict[Name, str] = Field(default_factory=dict)


class Variant(Model):
    """One version of the message and its share of the audience."""

    name: Name
    template: str
    percent: float = Field(gt=0, lt=100)


class Hours(Model):
    """Hours of people's own clocks; they cross midnight when `start` is after `end`."""

    start: time
    end: time

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start == self.end:
            raise ValueError("start and end are the same: that is no hour or every hour. Leave it empty")
        return self

    def __contains__(self, clock: time) -> bool:
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end


class CampaignParameters(Model):
    """What a marketer chose in the form. Defaults are the careful ones."""

    name: str = Field(min_length=1, max_length=80)
    template: str
    language: Language | None = Field(default=None, description="for everybody; None: each person's own")
    variants: tuple[Variant, ...] = Field(default=(), max_length=5)
    segment: str = "everyone"
    recipients: tuple[Recipient, ...] = Field(default=(), max_length=10_000)
    variables: dict[str, Variable | dict[Language, Variable]] = Field(default_factory=dict)
    header_media_url: str | None = Field(default=None, pattern=r"^https://[^\s]+$", max_length=2000)
    window: Hours | None = None
    quiet_hours: Hours | None = None
    expires_hours: int = Field(default=72, ge=1, le=720)
    max_messages_per_week: int | None = Field(default=None, ge=1, le=50)
    holdout_percent: float = Field(default=0, ge=0, le=50)
    probe_percent: float = Field(default=0, ge=0, le=50)
    probe_minutes: int = Field(default=30, ge=1, le=1440)
    probe_max_failed_percent: float = Field(default=10, ge=0, le=100)
    attempts: int = Field(default=1, ge=1, le=3)
    budget: float | None = Field(default=None, gt=0)
    messages_per_second: int | None = Field(default=None, ge=1, le=1000)
    workers: int = Field(default=2, ge=1, le=4, description="sending tasks side by side")
    test_first: bool = False
    dry_run: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(variant.percent for variant in self.variants) >= 100:
            raise ValueError(
                "the variants' shares leave nothing for the template itself: they must stay below 100"
            )
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names):
            raise ValueError("two variants have the same name")
        if wrong := sorted(key for key in self.variables if not key.isdecimal()):
            raise ValueError(f"variables are given by their number, such as 1; {wrong} are not numbers")
        return self

    @property
    def hash(self) -> str:
        """Hash of all values, the same for the same choices."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def template_names(self) -> list[str]:
        """The template and the variants' templates."""
        return [self.template, *(variant.template for variant in self.variants)]

    def variable(self, template: Template, position: int, language: str) -> Variable:
        """Where the variable at `position` (from 1) of a template comes from, in one language."""
        chosen = self.variables.get(str(position))
        if isinstance(chosen, Variable):
            return chosen
        if chosen is not None and language in chosen:
            return chosen[language]
        return template.variables[position - 1]


def freeze(entity: Entity, raw: dict[str, Any]) -> CampaignParameters:
    """Validate the form against the entity; empty fields count as not filled in.

    Raises ParametersInvalid with every reason.
    """
    filled = {name: value for name, value in raw.items() if value not in (None, "", [], {})}
    try:
        parameters = CampaignParameters.model_validate(filled)
    except ValidationError as error:
        reasons = [
            f"{'.'.join(map(str, item['loc'])) or 'form'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise ParametersInvalid(f"The campaign cannot start. {'; '.join(reasons)}.") from None
    reasons = list(_against(entity, parameters))
    if reasons:
        raise ParametersInvalid(f"The campaign cannot start: {'; '.join(reasons)}.")
    return parameters


def hours_of(entity: Entity, parameters: CampaignParameters) -> tuple[Hours | None, Hours | None]:
    """The sending window and the quiet hours, each the campaign's, else the entity's; None: there are none."""
    window, quiet = parameters.window, parameters.quiet_hours
    if window is None and entity.settings.sending_window != ALL_DAY:
        window = Hours(start=entity.settings.sending_window[0], end=entity.settings.sending_window[1])
    if quiet is None and entity.settings.quiet_hours is not None:
        quiet = Hours(start=entity.settings.quiet_hours[0], end=entity.settings.quiet_hours[1])
    return window, quiet


def _against(entity: Entity, parameters: CampaignParameters) -> list[str]:
    templates = {template.name: template for template in entity.templates}
    reasons = [
        f"template {name!r} is not known; {entity.name} has {_listed(templates)}"
        for name in parameters.template_names()
        if name not in templates
    ]
    segments = {segment.name for segment in entity.segments} | {"everyone"}
    if parameters.segment not in segments:
        reasons.append(f"segment {parameters.segment!r} is not known; {entity.name} has {_listed(segments)}")
    sources = {source.name for source in entity.sources}
    unknown = {recipient.source for recipient in parameters.recipients} - sources
    if unknown:
        reasons.append(
            f"recipients name the source(s) {_listed(unknown)}; {entity.name} has {_listed(sources)}"
        )
    used = [templates[name] for name in parameters.template_names() if name in templates]
    for template in used:
        if template.category != used[0].category:
            reasons.append(
                f"variant {template.name!r} is {template.category}, the template {used[0].category}"
            )
        media = {text.header_media for text in template.languages.values()} - {None}
        if media and not parameters.header_media_url:
            reasons.append(
                f"template {template.name!r} has a header ({_listed(media)}): give header_media_url"
            )
        if too_high := sorted(key for key in parameters.variables if int(key) > len(template.variables)):
            reasons.append(f"template {template.name!r} has no variable {', '.join(too_high)}")
    window, quiet = hours_of(entity, parameters)
    minutes = [time(minute // 60, minute % 60) for minute in range(24 * 60)]
    if not any((window is None or now in window) and (quiet is None or now not in quiet) for now in minutes):
        reasons.append("window and quiet_hours leave no minute of the day to send in")
    if parameters.test_first and not entity.settings.test_records:
        reasons.append("test_first needs test_records in entity.yaml")
    return reasons


def _listed(names: Any) -> str:
    return ", ".join(sorted(map(str, names))) or "none"
