"""docs/campaigns.md has every field of the form, and its examples are valid."""

from __future__ import annotations

import json
import re
from typing import Any

from include.campaigns.parameters import CampaignParameters
from tests.docs import markdown

SECTION = markdown.sections(markdown.read("campaigns.md"))["The form"]


def test_every_field_with_its_default() -> None:
    told = {row[0].strip("`"): row[1].strip("`") for row in markdown.rows(SECTION)}
    fields = CampaignParameters.model_fields
    assert list(told) == list(fields)
    words: dict[Any, str] = {True: "on", False: "off"}
    for name, field in fields.items():
        default = None if field.is_required() else field.default
        if isinstance(default, bool):
            assert told[name] == words[default], name
        elif default:
            assert told[name] == f"{default:g}" if isinstance(default, float) else str(default), name


def test_the_examples_are_valid() -> None:
    examples = {row[0].strip("`"): re.findall(r"`([\[{][^`]+)`", row[2]) for row in markdown.rows(SECTION)}
    values = {name: json.loads(text) for name, (text, *_) in ((n, t) for n, t in examples.items() if t)}
    assert set(values) == {
        "variants",
        "recipients",
        "variables",
        "buttons",
        "window",
        "quiet_hours",
        "test_recipients",
    }
    CampaignParameters.model_validate({"name": "Spring", "template": "spring_sale", **values})
