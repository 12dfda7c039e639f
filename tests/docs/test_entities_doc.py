"""docs/entities.md says every field of an entity's files, with its true default, and its examples load."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from include.entities import load_entity, models
from include.entities.source_options import OPTIONS
from include.optins.sources import kinds
from tests.docs import markdown

PAGE = markdown.read("entities.md")
SECTIONS = {re.sub(r"&\w+;", "", heading): text for heading, text in markdown.sections(PAGE).items()}
MODELS: dict[str, type[models.Model]] = {
    "entity.yaml": models.EntityFile,
    "wordings": models.Wording,
    "test_records": models.SeedRecord,
    "guard": models.Guard,
    "double_opt_in": models.DoubleOptIn,
    "brakes": models.Brakes,
    "keywords": models.Keywords,
    "answers": models.Answers,
    "keep_media": models.KeepMedia,
    "reachability": models.Reachability,
    "forwards": models.Forward,
    "schedules": models.Schedules,
    "retention": models.Retention,
    "links": models.LinkSettings,
    "roles": models.Roles,
    "sources/name.yaml": models.Source,
    "columns": models.Columns,
    "contract": models.Contract,
    "optout": models.OptOutBack,
    "templates/name.yaml": models.Template,
    "variables": models.Variable,
    "languages": models.TemplateText,
    "buttons": models.Button,
    "segments/name.yaml": models.Audience,
    "past": models.PastCampaign,
    "campaigns/name.yaml": models.CampaignDefinition,
}


def test_every_model_has_its_table() -> None:
    files = {
        model
        for model in vars(models).values()
        if isinstance(model, type) and issubclass(model, models.Model)
    }
    assert files - {models.Model, models.Entity} == set(MODELS.values())


@pytest.mark.parametrize("heading", MODELS)
def test_every_field_is_there_with_its_default(heading: str) -> None:
    model = MODELS[heading]
    model.model_rebuild()  # fields whose type is defined further down
    told = {row[0].strip("`"): row[1].strip("`") for row in markdown.rows(SECTIONS[heading])}
    assert set(told) == set(model.model_fields)
    wrong = {
        name: f"says {told[name]}"
        for name, field in model.model_fields.items()
        if not _agrees(told[name], field)
    }
    assert not wrong


def test_every_option_of_a_source_is_there() -> None:
    rows = markdown.rows(SECTIONS["options"])
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    read = re.compile(r"""options(?:\.get\(|\[)\s*["'](\w+)["']""")
    code = (markdown.ROOT / "include/optins").rglob("*.py")
    assert told == {name for path in code for name in read.findall(path.read_text())}
    assert told == {name for model in OPTIONS.values() for name in model.model_fields}, "what may be written"
    assert {row[0].strip("`") for row in rows} == set(kinds()) == set(OPTIONS)


def test_the_examples_load_and_a_source_is_short(tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    shutil.copytree(markdown.ROOT / "include/entities/acme", folder)
    examples = [block for block in markdown.blocks(PAGE) if block.language == "yaml"]
    for example in examples:
        (folder / example.title).write_text(example.text)
    entity = load_entity("acme", tmp_path)
    assert entity.source("loyalty").columns.attributes == {"first_name": "first_name", "tier": "card_tier"}
    assert entity.template("back_in_stock").category == "marketing"
    assert entity.segment("gold_dutch").languages == ("nl",)
    sources = {each.title: each.text for each in examples if each.title.startswith("sources/")}
    assert {entity.source(Path(title).stem).kind for title in sources} >= {
        "actito",
        "file",
        "http",
        "inbound",
        "pushed",
        "sql",
    }
    ours = {path.name: path.read_text() for path in (folder / "sources").iterdir()}
    assert all(len(text.splitlines()) <= 20 for text in (sources | ours).values())


def _agrees(told: str, field: FieldInfo) -> bool:
    if field.is_required():
        return told == "required"
    default: Any = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return told == "see below"
    read: TypeAdapter[Any] = TypeAdapter(field.annotation or Any)
    return bool(read.validate_python(yaml.safe_load(told)) == default)
