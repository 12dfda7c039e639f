"""What may stand under `options` in a source's YAML, by kind. A kind of a team's own takes what it likes.

Only which options there are and what they may be: what one that is left out means is the kind's to say
(`include/optins/sources`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from include.entities.models import Model

Text = Annotated[str, Field(min_length=1)]
Path = Annotated[str, Field(pattern="^/")]
Id = Annotated[str | int, Field(union_mode="left_to_right"), AfterValidator(str)]


def _encoding(value: str) -> str:
    try:
        b"a".decode(value)
    except LookupError:
        raise ValueError(f"there is no encoding {value!r} of texts") from None
    except UnicodeDecodeError:
        pass  # of two bytes for each character
    return value


class Options(Model):
    """Strict: kinds read what the YAML says, not what could be made of it (`remember: "false"`)."""

    model_config = ConfigDict(strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _nothing_is_no_value(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("there is nothing behind its name: leave it out, or give it a value")
        return value


class SourceOptions(Options):
    """Of every kind."""

    changed_column: Text | None = None


class SqlOptions(SourceOptions):
    """A table or a query of a database."""

    table: Text | None = None
    query: Text | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("a database is asked for a `table` or by a `query`: one of the two is needed")
        return self


PAGING: Mapping[str, str] = {
    "page_parameter": "page_number",
    "first_page": "page_number",
    "offset_parameter": "offset",
    "cursor_parameter": "cursor",
    "cursor": "cursor",
    "next_link": "next_link",
}  # what only one way of paging reads


class ListingOptions(SourceOptions):
    """How an API lists."""

    items: Text | None = None
    since_parameter: Text | None = None
    parameters: dict[str, Any] | None = None
    paging: Literal["page_number", "offset", "cursor", "next_link", "none"] | None = None
    page_size: int | None = Field(default=None, ge=1)
    size_parameter: Text | None = None
    page_parameter: Text | None = None
    first_page: int | None = Field(default=None, ge=0)
    offset_parameter: Text | None = None
    cursor_parameter: Text | None = None
    cursor: Text | None = None
    next_link: Text | None = None

    @model_validator(mode="after")
    def _of_this_paging(self) -> Self:
        paging = self.paging or "none"
        for name, way in PAGING.items():
            if getattr(self, name) is not None and way != paging:
                raise ValueError(f"`{name}` is of `paging: {way}`, and this is `paging: {paging}`")
        return self


class HttpOptions(ListingOptions):
    """A JSON API."""

    path: str | None = None


class CsvOptions(SourceOptions):
    """How files are read."""

    separator: str | None = Field(
        default=None, pattern=r"^[\t -!#-~]$"
    )  # one character of ASCII that is no quote
    encoding: Annotated[str, AfterValidator(_encoding)] | None = None
    remember: bool | None = None


class FileOptions(CsvOptions):
    """Files in a folder."""

    pattern: Text | None = None
    format: Literal["csv", "jsonl", "parquet"] | None = None


class ActitoBulk(Options):
    """When opt-outs go to Actito as one import."""

    etl: Id
    above: int | None = Field(default=None, ge=0)
    prefix: Path | None = None


class ActitoTable(SourceOptions):
    """Whose profiles, and which subscription of theirs."""

    entity: Id | None = None
    table: Id | None = None
    subscription: Id | None = None
    prefix: Path | None = None


class ActitoOptions(ActitoTable, ListingOptions, CsvOptions):
    """Profiles from Actito's API, or from an export of it."""

    export: Text | None = None
    subscription_column: Text | None = None
    bulk: ActitoBulk | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.export is None:
            return _with_table(self)
        if self.subscription_column is not None and self.subscription is None:
            raise ValueError("`subscription_column` needs `subscription`: the one whose rows are read")
        return self


class ActitoPushedOptions(ActitoTable):
    """Profiles that Actito's webhooks announce."""

    profile_key: str | None = Field(default=None, pattern=r"^[^{}]*(\{[\w.]+\}[^{}]*)+$")
    most: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        return _with_table(self)


AnyActito = TypeVar("AnyActito", bound=ActitoTable)


def _with_table(options: AnyActito) -> AnyActito:
    missing = [name for name in ("entity", "table", "subscription") if getattr(options, name) is None]
    if missing:
        raise ValueError(f"Actito's API is asked by `entity`, `table` and `subscription`: no `{missing[0]}`")
    return options


OPTIONS: Mapping[str, type[SourceOptions]] = {
    "sql": SqlOptions,
    "http": HttpOptions,
    "file": FileOptions,
    "actito": ActitoOptions,
    "actito_pushed": ActitoPushedOptions,
    "inbound": SourceOptions,
    "pushed": SourceOptions,
}
