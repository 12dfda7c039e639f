"""The form's schemas and the plan's own checks: what the one lets pass, the other takes; what is wrong is named."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from include.campaigns.errors import ParametersInvalid
from include.campaigns.parameters import freeze
from include.entities import Entity, EntityProblems, load_entity

sys.path.append(str(Path(__file__).parents[2] / "dags"))

from wiring import schemas  # type: ignore[import-not-found]

SHOP = """\
name: shop
namespace: ns
category: marketing
fallback_text: Shop
variables: [{attribute: first_name, fallback: friend}]
languages:
  en:
    body: "Hello {{1}}, look."
    buttons:
      - {type: url, text: Open, url: "https://shop.test/{{1}}", variable: {attribute: city, fallback: all}}
      - {type: quick_reply, text: Stop, payload: STOP}
      - {type: url, text: About, url: "https://shop.test/about"}
"""


@pytest.fixture(scope="module")
def entity(tmp_path_factory: pytest.TempPathFactory) -> Entity:
    """acme with a template that has buttons of each kind."""
    root = tmp_path_factory.mktemp("entities")
    shutil.copytree(load_entity("acme").folder, root / "acme")
    (root / "acme" / "templates" / "shop.yaml").write_text(SHOP)
    return load_entity("acme", root)


def schema_of(entity: Entity, field: str) -> dict[str, Any]:
    return {
        "variables": schemas.variables(entity),
        "buttons": schemas.buttons(entity),
        "variants": schemas.variants(entity),
        "window": schemas.HOURS,
        "quiet_hours": schemas.HOURS,
        "recipients": schemas.people(entity, most=10_000, with_variables=True),
        "test_recipients": schemas.people(entity, most=20, with_variables=False),
    }[field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("variables", {"1": {"attribute": "city", "fallback": "you"}}),
        ("variables", {"1": {"en": {"constant": "You"}}}),
        ("buttons", {"1": {"constant": "spring"}, "2": {"payload": "NO"}}),
        ("buttons", {"1": {"en": {"attribute": "city", "fallback": "all"}}}),
        ("window", {"start": "20:00", "end": "02:30"}),
        ("quiet_hours", {"start": "22:00", "end": "07:00"}),
        ("recipients", [{"source": "webshop", "record_id": "C-1", "variables": {"order_number": "7"}}]),
        ("test_recipients", [{"source": "webshop", "record_id": "C-1"}]),
        ("window", {}),
        ("quiet_hours", None),
        ("variables", {}),
        ("buttons", {}),
        ("recipients", []),
        ("variables", None),
        ("buttons", None),
        ("recipients", None),
    ],
)
def test_what_the_form_lets_pass_is_taken(entity: Entity, field: str, value: Any) -> None:
    jsonschema.validate(value, schema_of(entity, field))
    freeze(entity, {"name": "x", "template": "shop", field: value})


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("variables", {"1": {"attribute": "nickname"}}, "'nickname' is not one of"),
        ("variables", {"9": {"constant": "x"}}, "'9' was unexpected"),
        ("variables", {"1": {"constant": "a\nb"}}, "a\\nb"),
        ("variables", {"1": {"constant": "a    b"}}, "a    b"),
        ("variables", {"1": {"constant": "  "}}, "does not match"),
        ("variables", {"1": {"constant": "x", "attribute": "city"}}, "is valid under each of"),
        ("variables", {"1": {"xx": {"constant": "x"}}}, "'xx' was unexpected"),
        ("variables", {"1": {"constnt": "x"}}, "'constnt' was unexpected"),
        ("variables", "x", "is not of type"),
        ("buttons", {"1": {"payload": ""}}, "should be non-empty"),
        ("buttons", {"1": {"constant": "two words"}}, "does not match"),
        ("variants", [{"name": "b", "template": "sale_b", "percent": 20}], "'sale_b' is not one of"),
        (
            "variants",
            [{"name": "b", "template": "shop", "percent": 100}],
            "greater than or equal to the maximum",
        ),
        ("variants", [{"name": "b", "template": "shop"}], "'percent' is a required property"),
        ("window", {"start": "9", "end": "20:00"}, "'9' does not match"),
        ("quiet_hours", {"start": "22:00"}, "'end' is a required property"),
        ("recipients", [{"source": "nowhere", "record_id": "1"}], "'nowhere' is not one of"),
        ("recipients", [{"source": "webshop", "record_id": "+32470123456"}], "should not be valid"),
        ("test_recipients", [{"source": "webshop", "record_id": ""}], "should be non-empty"),
    ],
)
def test_the_form_refuses_with_the_reason_and_so_does_the_plan(
    entity: Entity, field: str, value: Any, told: str
) -> None:
    with pytest.raises(jsonschema.ValidationError) as refused:
        jsonschema.validate(value, schema_of(entity, field))
    assert told in refused.value.message
    with pytest.raises(ParametersInvalid):
        freeze(entity, {"name": "x", "template": "shop", field: value})


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"buttons": {"1": {"payload": "X"}}}, "button 1 in en leads to an address"),
        ({"buttons": {"2": {"constant": "X"}}}, "button 2 in en is a quick reply"),
        ({"buttons": {"3": {"constant": "X"}}}, "button 3 in en has nothing to choose"),
        ({"buttons": {"4": {"payload": "X"}}}, "has no button 4 in en; it has 3"),
        ({"language": "nl"}, "has no language nl; it has en"),
        ({"header_media_url": "https://x.test/a.png"}, "leave header_media_url empty"),
        (
            {"variables": {"1": {"attribute": "nickname", "fallback": "x"}}},
            "nickname comes from no source",
        ),
    ],
)
def test_what_takes_two_fields_to_see_is_refused_by_the_plan(
    entity: Entity, raw: dict[str, Any], told: str
) -> None:
    with pytest.raises(ParametersInvalid, match=told):
        freeze(entity, {"name": "x", "template": "shop", **raw})


def test_a_campaigns_file_is_checked_like_the_form(entity: Entity, tmp_path: Path) -> None:
    shutil.copytree(entity.folder, tmp_path / "acme")
    file = tmp_path / "acme" / "campaigns" / "weekly.yaml"
    file.write_text(
        "name: weekly\ntemplate: shop\nschedule: 0 9 * * 1\noptions:\n  quiet_hours: {start: '22:00', end: '22:00'}\n"
    )
    with pytest.raises(EntityProblems, match="start and end are the same") as problems:
        load_entity("acme", tmp_path)
    (problem,) = problems.value.problems
    assert (problem.file, problem.line) == (file, 4)
    segment = tmp_path / "acme" / "segments" / "typo.yaml"
    segment.write_text("name: typo\nattributes: {vpi: true}\n")
    file.unlink()
    with pytest.raises(EntityProblems, match="attribute vpi comes from no source"):
        load_entity("acme", tmp_path)
