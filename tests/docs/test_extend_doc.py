"""The source kind of docs/extend.md works as it is printed there."""

from __future__ import annotations

from types import ModuleType

import pytest

from include.entities.models import Columns, Source
from include.optins import HttpAccess, SourceRefused, SourceShapeChanged, SourceUnavailable
from tests.docs import markdown
from tests.support.json_api import Answer, Request, json_api

COLUMNS = Columns(record_id="id", phone="tel", consent="ok", changed_at="at")
FILE = "id,tel,ok,at\n1,0470 12 34 56,yes,2026-03-01\n2,,no,2026-03-02\n"


@pytest.fixture(scope="module")
def web_csv() -> ModuleType:
    (example,) = [
        block for block in markdown.blocks(markdown.read("extend.md")) if block.language == "python"
    ]
    module = ModuleType(example.title)
    exec(compile(example.text, example.title, "exec"), module.__dict__)  # noqa: S102 - our own page
    return module


def source(path: str) -> Source:
    about = {"wording": "signup", "collection_point": "survey", "options": {"path": path}}
    return Source(name="survey", kind="web_csv", columns=COLUMNS, **about)


def serve(request: Request, number: int) -> Answer:
    statuses = {"/refused": 401, "/down": 503}
    body = FILE.replace("tel", "phone") if request.path == "/changed" else FILE
    return Answer(body.encode(), statuses.get(request.path, 200))


def test_it_reads(web_csv: ModuleType) -> None:
    with json_api(serve) as api:
        (frame,) = web_csv.fetch(source("/people.csv"), HttpAccess(api.url), None)
    assert frame.columns.tolist() == ["id", "tel", "ok", "at"]
    assert frame["tel"].tolist() == ["0470 12 34 56", ""]


@pytest.mark.parametrize(
    ("path", "problem"),
    [("/refused", SourceRefused), ("/down", SourceUnavailable), ("/changed", SourceShapeChanged)],
)
def test_it_says_what_is_wrong(web_csv: ModuleType, path: str, problem: type[Exception]) -> None:
    with json_api(serve) as api, pytest.raises(problem):
        list(web_csv.fetch(source(path), HttpAccess(api.url), None))
