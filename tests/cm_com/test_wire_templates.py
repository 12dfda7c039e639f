from __future__ import annotations

from typing import Any

import pytest
from cm_com.exceptions import CmComUnreadable
from cm_com.wire.templates import read_templates

META = {"name": "welcome", "language": "nl", "status": "approved", "category": "Marketing", "namespace": "n"}


@pytest.mark.parametrize("document", [[META], {"templates": [META]}, {"Data": [META]}])
def test_a_list_is_found_in_the_usual_places(document: Any) -> None:
    (template,) = read_templates(document)
    assert (template.name, template.language, template.namespace) == ("welcome", "nl", "n")
    assert (template.status, template.category) == ("APPROVED", "MARKETING")
    assert template.raw == META


def test_languages_grouped_under_a_template_become_one_each() -> None:
    languages = {"nl_NL": {"status": "APPROVED"}, "de": {"status": "PAUSED"}}
    read = read_templates([{"name": "welcome", "namespace": "n", "languages": languages}])
    assert [(each.language, each.status) for each in read] == [("nl_NL", "APPROVED"), ("de", "PAUSED")]


@pytest.mark.parametrize("document", [None, {}, {"templates": 1}, [1], [{"name": "x"}], [{"language": "nl"}]])
def test_something_else_is_told(document: Any) -> None:
    with pytest.raises(CmComUnreadable):
        read_templates(document)
