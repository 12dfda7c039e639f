"""The models of an entity's YAML files. Every field's description is what `whatsapp check` and the docs say
about it.
"""

from __future__ import annotations

import re
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Cron = Annotated[str, Field(pattern=r"^(@\w+|(\S+\s+){4}\S+)$")]


def _known_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"{value!r} is not an IANA time zone such as Europe/Brussels")
    return value


def _known_region(value: str) -> str:
    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{value!r} is not a two-letter region such as BE")
    return value


def _valid_number(value: str) -> str:
    try:
        number = phonenumbers.parse(value)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise ValueError(f"{value!r} is not a number with country code such as +32 460 20 02 00")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


TimeZone = Annotated[str, AfterValidator(_known_zone)]
Region = Annotated[str, AfterValidator(_known_region)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2}(_[A-Z]{2})?$")]


class Model(BaseModel):
    """Frozen, and a field that is not known is a mistake (a typo must not pass as a default)."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Wording(Model):
    """What a person was shown when they said yes, by language. A changed text is a new wording id."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,60}$")
    valid_from: date | None = None
    privacy_notice: str | None = Field(
        default=None, description="version of the privacy notice that was linked beside it"
    )
    evidence: str | None = Field(default=None, description="where a picture of the form is, or its hash")
    approved_by: str | None = None
    texts: dict[Language, str] = Field(min_length=1)


class Guard(Model):
    """Stops a reconcile that would change more people than is plausible."""

    max_share: float = Field(
        default=0.2, gt=0, le=1, description="share of the people known that one run may flip"
    )
    min_people: int = Field(
        default=1000, ge=0, description="below this many people known the guard is silent"
    )
    answer_hours: int = Field(
        default=12,
        ge=1,
        le=168,
        description="how long somebody is asked about a held run; then it stays held",
    )


class Reachability(Model):
    """When a number counts as not on WhatsApp: left out until the person writes or says yes again."""

    undeliverable_campaigns: int = Field(
        default=2, ge=1, le=20, description="so many campaigns in which it could not be delivered"
    )
    within_days: int = Field(
        default=30, ge=1, le=365, description="within so many days, and nothing delivered between them"
    )


class Keywords(Model):
    """Words that people write, per meaning. They add to the built-in words of the entity's languages."""

    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    start_wording: str | None = Field(
        default=None,
        description="wording a person agrees to by writing a start word; without it they are only recorded",
    )


Text = Annotated[str, Field(min_length=1, max_length=4096)]


class DoubleOptIn(Model):
    """How a yes from a source with `double_opt_in` is confirmed: the person answers one message."""

    template: str = Field(description="utility template with a quick reply whose payload is `payload`")
    payload: str = Field(default="CONFIRM", min_length=1, description="payload of the button that confirms")
    words: tuple[str, ...] = Field(
        default=(), description="whole answers that confirm too, besides start words and a plain yes"
    )
    within_days: int = Field(
        default=7, ge=1, le=90, description="after so many days without an answer the yes expires"
    )


class Answers(Model):
    """What is answered automatically, by language; the person's own, else the default language. Nothing: no answer."""

    stop: dict[Language, Text] = Field(default_factory=dict, description="confirms a withdrawal, once")
    start: dict[Language, Text] = Field(
        default_factory=dict, description="confirms a consent given by a start word"
    )
    help: dict[Language, Text] = Field(
        default_factory=dict, description="what help words get, once in 24 hours"
    )


class KeepMedia(Model):
    """Copies of the pictures, recordings and documents that people send. Left out, nothing is copied."""

    connection: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="Airflow connection of a folder")
    days: int = Field(default=30, ge=1, le=3650, description="deleted from the folder so many days after")
    max_mb: int = Field(default=25, ge=1, le=100)
    hosts: tuple[str, ...] = Field(
        default=("cm.com",), min_length=1, description="domains that media may be fetched from"
    )
    allow_http: bool = False


class Forward(Model):
    """Where replies are sent on to: e-mail (connection of type smtp), or a URL (type http, whose password signs)."""

    name: Name
    connection: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="Airflow connection: smtp or http")
    to: tuple[str, ...] = Field(default=(), description="e-mail addresses; none for a URL")
    kinds: tuple[Literal["reply", "button", "stop", "start", "help"], ...] = ("reply",)
    words: tuple[str, ...] = Field(default=(), description="only replies that hold one of these words")
    campaigns: tuple[str, ...] = Field(default=(), description="only replies to these campaigns, by name")


class Schedules(Model):
    """When the entity's Dags run. `null` switches the schedule off; the Dag can still be started."""

    pull_optins: Cron | None = "*/30 * * * *"
    sync_templates: Cron | None = "7 * * * *"
    confirm_optins: Cron | None = "*/15 * * * *"
    pull_message_logs: Cron | None = "*/10 * * * *"
    propagate_optouts: Cron | None = "*/15 * * * *"
    compare_optins: Cron | None = "15 3 * * *"
    refresh_reports: Cron | None = "*/5 * * * *"
    privacy: Cron | None = "30 2 * * *"


class Retention(Model):
    """How long personal data is kept (C12; have your data protection officer confirm)."""

    message_text_days: int = Field(default=90, ge=1)
    message_metadata_days: int = Field(default=760, ge=31)
    staging_days: int = Field(default=30, ge=1)
    inactive_person_days: int = Field(default=1095, ge=30)


class Brakes(Model):
    """When a campaign pauses by itself: its last results are, by more than chance, above one of these shares."""

    last: int = Field(default=200, ge=20, le=10_000, description="how many results are looked at")
    least: int = Field(default=50, ge=10, description="fewer than that say nothing")
    max_failed: float = Field(
        default=0.1, gt=0, le=1, description="share of failures; people who cannot be reached do not count"
    )
    max_stopped: float = Field(default=0.05, gt=0, le=1, description="share of people who said stop")
    max_uncertain: float = Field(default=0.2, gt=0, le=1, description="share of messages without an answer")
    max_rejected: float = Field(default=0.5, gt=0, le=1, description="share of messages that CM.com refused")


class LinkSettings(Model):
    """What a counted link adds to its target; `utm_source: null` adds nothing."""

    utm_source: str | None = Field(default="whatsapp", max_length=80)
    utm_medium: str | None = Field(default="message", max_length=80)


class Roles(Model):
    """Airflow roles that may work with this entity's Dags and pages."""

    engineer: str = ""
    marketer: str = ""
    approver: str = ""
    analyst: str = ""


class EntityFile(Model):
    """entity.yaml."""

    name: Name
    label: str = Field(min_length=1, max_length=80)
    connection: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="Airflow connection of type cm_com")
    default_region: Region
    languages: tuple[Language, ...] = Field(min_length=1)
    default_language: Language
    time_zone: TimeZone
    sending_window: tuple[time, time] = (time(9), time(20))
    quiet_hours: tuple[time, time] | None = Field(
        default=None,
        description="hours by people's own clocks in which nobody is written to; may cross midnight",
    )
    closed_to_marketing: tuple[Region, ...] = Field(
        default=("US",),
        description="countries whose numbers get no marketing: Meta delivers none to the US since 2025-04-01",
    )
    template_state: Literal["cm_com", "assumed"] = Field(
        default="cm_com",
        description="where a template's state comes from; CM.com's call for it is not documented, so an "
        "account without it says `assumed`: the templates in git count as approved",
    )
    max_messages_per_week: int = Field(default=1, ge=1, le=50)
    unapproved_recipients: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="so many given recipients of a utility template get it without an approval; 0: always asked",
    )
    test_records: tuple[SeedRecord, ...] = Field(
        default=(), description="colleagues who get a campaign's real message first, when that is asked for"
    )
    precedence: tuple[Name, ...] = Field(
        default=(), description="sources, the one whose attributes win first"
    )
    wordings: tuple[Wording, ...] = Field(min_length=1)
    guard: Guard = Guard()
    whatsapp_number: Annotated[str, AfterValidator(_valid_number)] | None = Field(
        default=None,
        description="the number that people write to, for the opt-in link; the connection's sender",
    )
    double_opt_in: DoubleOptIn | None = None
    brakes: Brakes = Brakes()
    keywords: Keywords = Keywords()
    reachability: Reachability = Reachability()
    answers: Answers = Answers()
    keep_media: KeepMedia | None = Field(default=None, description="copies of replies' media; none without")
    forwards: tuple[Forward, ...] = Field(default=(), description="where replies are sent on to")
    schedules: Schedules = Schedules()
    retention: Retention = Retention()
    links: LinkSettings = LinkSettings()
    roles: Roles = Roles()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.default_language not in self.languages:
            raise ValueError(f"default_language {self.default_language!r} is not one of languages")
        ids = [wording.id for wording in self.wordings]
        if len(ids) != len(set(ids)):
            raise ValueError("wordings have the same id twice; a changed text needs a new id")
        names = [forward.name for forward in self.forwards]
        if len(names) != len(set(names)):
            raise ValueError("forwards have the same name twice")
        return self


class Columns(Model):
    """Which column (or JSON field) of the source means what. Everything not named here is not read."""

    record_id: str
    phone: str
    consent: str
    changed_at: str = Field(description="when the person said so, by the source's own clock")
    language: str | None = None
    region: str | None = None
    attributes: dict[Name, str] = Field(
        default_factory=dict, description="our attribute name: the source's column"
    )

    @property
    def wanted(self) -> list[str]:
        """Every source column that is read, without repeats."""
        named = [self.record_id, self.phone, self.consent, self.changed_at, self.language, self.region]
        return list(dict.fromkeys([name for name in named if name] + list(self.attributes.values())))


class OptOutBack(Model):
    """How a withdrawal is written back to the source."""

    statement: str | None = Field(default=None, description="sql: parameters :record_id and :occurred_at")
    path: str | None = Field(default=None, description="http: path with {record_id}")
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "PUT"
    body: dict[str, Any] = Field(default_factory=dict)
    batch: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="http: people in one request; the body's list is repeated for each",
    )
    folder: str | None = Field(default=None, description="file: where the dated delta file is written")

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        lists = [value for value in self.body.values() if isinstance(value, list)]
        if self.batch > 1 and (len(lists) != 1 or len(lists[0]) != 1):
            raise ValueError("a batch needs one list in body, with one item that is repeated for each person")
        if self.batch > 1 and "{" in (self.path or ""):
            raise ValueError("the path of a batch speaks of no person: put {record_id} into the body's list")
        return self


class Contract(Model):
    """How much a source may change its shape between two pulls before the pull is stopped."""

    max_change: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="how far a share may move: of empty values, of a type, of rejects",
    )
    min_records: int = Field(
        default=200, ge=1, description="smaller pulls are neither judged nor compared with"
    )
    changed_on: date | None = Field(
        default=None,
        description="the day on which the source changed its shape on purpose: nothing older is compared",
    )


class Source(Model):
    """sources/<name>.yaml: a system that holds opt-ins."""

    name: Name
    kind: Name = Field(description="a kind registered in include/optins/sources")
    connection: str | None = None
    label: str = ""
    region: Region | None = Field(
        default=None, description="region of national numbers; the entity's when left out"
    )
    time_zone: TimeZone | None = Field(
        default=None, description="zone of times without one; the entity's when left out"
    )
    columns: Columns
    true_values: tuple[str, ...] = ("true", "t", "yes", "y", "1", "ja", "oui", "si", "on")
    false_values: tuple[str, ...] = ("false", "f", "no", "n", "0", "nee", "non", "off")
    wording: str
    collection_point: str
    method: str = "checkbox"
    double_opt_in: bool = Field(
        default=False, description="a yes from here counts once the person has confirmed it in WhatsApp"
    )
    contract: Contract = Contract()
    overlap_minutes: int = Field(
        default=60, ge=0, description="pull this much again, for rows that were committed late"
    )
    optout: OptOutBack | None = None
    compare: bool | None = Field(
        default=None,
        description="whether it is compared with our table once a day; left out: where its kind tells what it holds",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="what the kind needs: query, path, paging …"
    )


# Meta refuses a value with a line break, a tab or four spaces (error 132012, B.13), and an empty one.
ILLEGAL = r"[\n\r\t\v\f\u0085\u2028\u2029]| {4}"


def _sendable(value: str) -> str:
    if not value.strip():
        raise ValueError("it is blank: WhatsApp delivers no message with an empty value")
    if re.search(ILLEGAL, value):
        raise ValueError("it has a line break, a tab or four spaces, which WhatsApp refuses")
    return value


Sendable = Annotated[str, AfterValidator(_sendable)]


class Variable(Model):
    """The value of one template variable: an attribute with a fallback, or a constant."""

    attribute: Name | None = None
    constant: Sendable | None = None
    fallback: Sendable | None = None
    max_length: int = Field(default=200, ge=1, le=1024)

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.attribute is None) == (self.constant is None):
            raise ValueError("a variable is either an attribute or a constant")
        fixed = self.constant or self.fallback or ""
        if len(fixed) > self.max_length:
            raise ValueError(f"a text of {len(fixed)} characters is longer than max_length {self.max_length}")
        return self


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or "\\" in value:
        raise ValueError("it is not an address such as https://www.example.org/sale")
    return value


class Button(Model):
    """A template's button, in the template's order."""

    type: Literal["quick_reply", "url"]
    text: str = Field(max_length=25)
    payload: str | None = None
    url: str | None = Field(default=None, description="as approved, such as https://go.example.org/l/{{1}}")
    target: (
        Annotated[str, Field(pattern=r"^[!-~]+$", max_length=2000), AfterValidator(_web_address)] | None
    ) = Field(default=None, description="where a counted link leads: https, in ASCII (percent-encoded)")
    variable: Variable | None = Field(
        default=None,
        description="what {{1}} at the end of url becomes for each person, where there is no target",
    )

    @model_validator(mode="after")
    def _link(self) -> Self:
        needed = self.type == "url" and self.target is None and (self.url or "").endswith("{{1}}")
        if self.variable is not None and not needed:
            raise ValueError("variable needs a url button without target, whose url ends with {{1}}")
        fixed = (self.variable.constant or self.variable.fallback or "") if self.variable else ""
        if re.search(r"\s", fixed):
            raise ValueError("what ends an address has no blanks")
        if needed and self.variable is None:
            raise ValueError("the url ends with {{1}}: give the button a variable (or a target)")
        if self.target is not None and (self.type != "url" or not (self.url or "").endswith("/l/{{1}}")):
            raise ValueError("target needs a url button whose url ends with /l/{{1}}, see docs/webhooks.md")
        return self


class TemplateText(Model):
    """One language of a template, as approved."""

    header: str | None = Field(default=None, max_length=60)
    header_media: Literal["image", "video", "document"] | None = Field(
        default=None,
        description="the header is a picture, film or PDF; its address is given with the campaign",
    )
    body: str = Field(min_length=1, max_length=1024)
    footer: str | None = Field(default=None, max_length=60)
    buttons: tuple[Button, ...] = Field(default=(), max_length=10)

    @property
    def url_variables(self) -> dict[int, Variable]:
        """The variables of URL buttons, by the button's index (from 0)."""
        return {index: button.variable for index, button in enumerate(self.buttons) if button.variable}


class Template(Model):
    """templates/<name>.yaml: a message template approved by Meta, and where its variables come from."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,512}$")]
    namespace: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    category: Literal["marketing", "utility", "authentication"]
    variables: tuple[Variable, ...] = ()
    fallback_text: str = Field(
        min_length=1, description="body.content: what CM.com requires beside the template"
    )
    languages: dict[Language, TemplateText] = Field(min_length=1)

    # Of the field and not of the whole, so that the problem has a line.
    @field_validator("languages")
    @classmethod
    def _placeholders(
        cls, languages: dict[str, TemplateText], info: ValidationInfo
    ) -> dict[str, TemplateText]:
        if "variables" not in info.data:  # they have a problem of their own
            return languages
        if len({len(text.url_variables) for text in languages.values()}) > 1:
            raise ValueError("the languages have different numbers of buttons with a variable")
        variables = len(info.data["variables"])
        wanted = {f"{{{{{number}}}}}" for number in range(1, variables + 1)}
        for language, text in languages.items():
            found = set(re.findall(r"\{\{\d+\}\}", text.body))
            if found != wanted:
                raise ValueError(
                    f"language {language} has the placeholders {sorted(found) or 'none'}, "
                    f"the {variables} variable(s) need {sorted(wanted) or 'none'}"
                )
        return languages

    @property
    def attributes(self) -> set[str]:
        """Every attribute that a variable of the template is filled from."""
        buttons = (text.url_variables.values() for text in self.languages.values())
        used = [*self.variables, *(variable for group in buttons for variable in group)]
        return {variable.attribute for variable in used if variable.attribute}


class PastCampaign(Model):
    """A condition on an earlier campaign: what the person did, or did not do."""

    campaign: str = Field(min_length=1, description="the earlier campaign's name, as it was started")
    did: Literal["sent", "received", "read", "clicked", "replied"]
    negate: bool = Field(default=False, description="true: whoever did not")
    within_days: int = Field(default=90, ge=1, le=760, description="only campaigns planned so many days ago")


class SeedRecord(Model):
    """A colleague who gets the real message first: one of the entity's subscribed people."""

    source: Name
    record_id: str = Field(min_length=1)


class Audience(Model):
    """segments/<name>.yaml: who, among the subscribed. Every condition must hold."""

    name: Name = "everyone"
    label: str = ""
    countries: tuple[Region, ...] = ()
    languages: tuple[Language, ...] = ()
    attributes: dict[Name, str | int | bool | tuple[str, ...]] = Field(
        default_factory=dict, description="attribute: value, or a list of values of which one must match"
    )
    past: tuple[PastCampaign, ...] = Field(default=(), description="what people did with earlier campaigns")
    inactive_days: int | None = Field(
        default=None,
        ge=1,
        description="only people who have not said yes, written or clicked for so many days, to ask them again",
    )


class CampaignDefinition(Model):
    """campaigns/<name>.yaml: a campaign that is sent more than once. With a schedule it is a Dag of its own."""

    name: Name
    template: str
    segment: Name = "everyone"
    schedule: Cron | None = None
    options: dict[Name, Any] = Field(
        default_factory=dict,
        description="any other field of the form of `send_campaign`, such as holdout_percent",
    )


class Entity(Model):
    """One entity with all its files. `folder` is where they are."""

    folder: Path
    settings: EntityFile
    sources: tuple[Source, ...]
    templates: tuple[Template, ...]
    segments: tuple[Audience, ...]
    campaigns: tuple[CampaignDefinition, ...]

    @property
    def name(self) -> str:
        """The entity's name: the suffix of its Dags."""
        return self.settings.name

    @property
    def attributes(self) -> set[str]:
        """Every attribute that a person may have: what sources bring, and what templates ask of given recipients."""
        brought = {name for source in self.sources for name in source.columns.attributes}
        return brought.union(*(template.attributes for template in self.templates))

    @property
    def zone(self) -> ZoneInfo:
        """The entity's time zone."""
        return ZoneInfo(self.settings.time_zone)

    def source(self, name: str) -> Source:
        """The source of that name. Raises KeyError."""
        return {source.name: source for source in self.sources}[name]

    def template(self, name: str) -> Template:
        """The template of that name. Raises KeyError."""
        return {template.name: template for template in self.templates}[name]

    def segment(self, name: str) -> Audience:
        """The segment of that name; `everyone` always exists. Raises KeyError."""
        return {"everyone": Audience(), **{segment.name: segment for segment in self.segments}}[name]
