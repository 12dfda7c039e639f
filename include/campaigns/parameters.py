"""The parameters of a campaign run: validated once, frozen, hashed."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import time
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from include.campaigns.errors import ParametersInvalid
from include.campaigns.fit import reasons_against
from include.entities import Entity, Template, Variable
from include.entities.models import Language, Model, Name, SeedRecord, Sendable

T = TypeVar("T")
# Of a variable or a button, as people count them: from 1.
Number = Annotated[str, Field(pattern=r"^[1-9][0-9]?$")]

# A window that covers the day is none: nobody's clock has to be asked.
ALL_DAY = (time(0), time(23, 59))


class Recipient(Model):
    """One person given by a source's own id (never by number), with values of their own for this message."""

    source: Name
    record_id: str = Field(min_length=1, max_length=200)
    variables: dict[Name, str] = Field(default_factory=dict)

    @field_validator("record_id")
    @classmethod
    def _no_number(cls, value: str) -> str:
        if re.fullmatch(r"(\+|00)[0-9 ]{7,}", value):
            raise ValueError("that is a phone number: give the source's own id of the person")
        return value


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


class ButtonValue(Model):
    """What a button carries: a quick reply's payload, or what ends a URL button's address."""

    payload: str | None = Field(default=None, min_length=1, max_length=256)
    attribute: Name | None = None
    constant: Sendable | None = Field(default=None, pattern=r"^\S+$")
    fallback: Sendable | None = Field(default=None, pattern=r"^\S+$")

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if sum(value is not None for value in (self.payload, self.attribute, self.constant)) != 1:
            raise ValueError("a button takes one of payload, attribute and constant")
        return self

    @property
    def variable(self) -> Variable:
        """The same as a variable of a URL button."""
        return Variable(attribute=self.attribute, constant=self.constant, fallback=self.fallback)


class CampaignParameters(Model):
    """What a marketer chose in the form. Defaults are the careful ones."""

    name: str = Field(min_length=1, max_length=80)
    template: str
    language: Language | None = Field(default=None, description="for everybody; None: each person's own")
    variants: tuple[Variant, ...] = Field(default=(), max_length=5)
    segment: str = "everyone"
    recipients: tuple[Recipient, ...] = Field(default=(), max_length=10_000)
    variables: dict[Number, Variable | dict[Language, Variable]] = Field(default_factory=dict)
    buttons: dict[Number, ButtonValue | dict[Language, ButtonValue]] = Field(default_factory=dict)
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
    test_recipients: tuple[SeedRecord, ...] = Field(default=(), max_length=20)
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
        return self

    @property
    def hash(self) -> str:
        """Hash of all values, the same for the same choices."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def template_names(self) -> list[str]:
        """The template and the variants' templates."""
        return [self.template, *(variant.template for variant in self.variants)]

    def values(self, template: Template, language: str) -> list[Variable]:
        """Where a message's values come from: the body's variables, then those of its URL buttons."""
        body = [
            _chosen(self.variables, str(position), language) or given
            for position, given in enumerate(template.variables, 1)
        ]
        return body + [
            found.variable if (found := self.button(index, language)) and found.payload is None else given
            for index, given in template.languages[language].url_variables.items()
        ]

    def button(self, index: int, language: str) -> ButtonValue | None:
        """What was chosen for the button at an index (from 0), if anything was."""
        return _chosen(self.buttons, str(index + 1), language)


def _chosen(choices: dict[str, T | dict[str, T]], number: str, language: str) -> T | None:
    choice = choices.get(number)
    return choice.get(language) if isinstance(choice, dict) else choice


def needs_approval(entity: Entity, parameters: CampaignParameters) -> bool:
    """Whether a person must approve: always, but for a few given recipients of a utility template (an order's news that
    another system triggers), as far as the entity allows that.
    """
    is_utility = all(entity.template(name).category == "utility" for name in parameters.template_names())
    return not (is_utility and 0 < len(parameters.recipients) <= entity.settings.unapproved_recipients)


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
    reasons = reasons_against(entity, parameters, hours_of(entity, parameters))
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
