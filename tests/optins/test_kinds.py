"""A team's own kind is one module beside its entities; nothing of ours is touched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from include.entities import EntityProblems, load_entity
from include.entities.load import FOLDER_VARIABLE
from include.optins import SourceShapeChanged
from include.optins.sources import is_built_in, kind, kinds
from tests.docs import markdown
from tests.support.json_api import Answer, json_api
from tests.support.optins import Store, entity, source

ACME = markdown.ROOT / "include" / "entities" / "acme"
OURS = ["actito", "file", "http", "inbound", "pushed", "sql"]
KIND = '''
"""People in a text file: `id number`, a yes each."""
from dataclasses import dataclass
from include.optins.sources.frames import columns_read, frames


@dataclass
class Person:
    id: str
    tel: str
    ok: str = "yes"
    at: str = "2026-03-01"


def fetch(source, access, since):
    wanted = columns_read(source)
    people = [Person(*line.split()) for line in (access / "people.txt").read_text().splitlines()]
    yield from frames([[getattr(person, name) for name in wanted] for person in people], wanted)
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of entities with one kind of its own, `text`."""
    root = tmp_path / "entities"
    shutil.copytree(ACME, root / "acme")
    (root / "kinds").mkdir()
    (root / "kinds" / "text.py").write_text(KIND)
    monkeypatch.setenv(FOLDER_VARIABLE, str(root))
    return root


def test_ours_are_there() -> None:
    assert set(kinds()) >= set(OURS)
    assert all(is_built_in(name) for name in OURS)


def test_an_own_kind_is_pulled_like_any_other(own: Path, store: Store) -> None:
    assert {*OURS, "text"} <= set(kinds())
    assert not is_built_in("text")
    columns = {"record_id": "id", "phone": "tel", "consent": "ok", "changed_at": "at"}
    (store.folder / "people.txt").write_text("1 0470123456\n2 12\n")
    result = store.pull(entity(source(kind="text", columns=columns)))
    assert (result.staged, dict(result.reasons)) == (1, {"phone_too_short": 1})


def test_an_own_kind_is_known_to_the_check(own: Path) -> None:
    yaml = own / "acme" / "sources" / "webshop.yaml"
    yaml.write_text(yaml.read_text().replace("kind: sql", "kind: text"))
    assert load_entity("acme", own).source("webshop").kind == "text"
    yaml.write_text(yaml.read_text().replace("kind: text", "kind: txt"))
    with pytest.raises(EntityProblems) as raised:
        load_entity("acme", own)
    (problem,) = raised.value.problems
    assert "webshop.yaml:2" in str(problem)
    assert "kind 'txt' is not known" in str(problem)
    assert "pushed, sql, text" in str(problem)


def test_an_own_kind_cannot_take_the_place_of_one_of_ours(own: Path) -> None:
    (own / "kinds" / "sql.py").write_text(KIND)
    assert kind("sql").__name__ == "include.optins.sources.sql"  # type: ignore[attr-defined]
    with pytest.raises(EntityProblems, match="There is a kind 'sql' already"):
        load_entity("acme", own)


def test_an_own_kind_that_cannot_be_loaded_says_why(own: Path) -> None:
    (own / "kinds" / "text.py").write_text(
        "import nothing_of_the_kind\n\ndef fetch(source, access, since): ...\n"
    )
    with pytest.raises(
        SourceShapeChanged, match=r"text\.py: ModuleNotFoundError: No module named 'nothing_of"
    ):
        kind("text")
    (own / "kinds" / "text.py").write_text(KIND)
    assert kind("text").fetch
    with pytest.raises(SourceShapeChanged, match="no source kind 'errors'"):
        kind("errors")


def test_the_kind_of_the_page_on_extending_runs_from_there(own: Path, store: Store) -> None:
    (example,) = [each for each in markdown.blocks(markdown.read("extend.md")) if each.language == "python"]
    place = own.parent / example.title.removeprefix("include/")
    assert place.parent == own / "kinds"
    place.write_text(example.text)
    columns = {"record_id": "id", "phone": "tel", "consent": "ok", "changed_at": "at"}
    brand = entity(source(kind=place.stem, columns=columns, options={"path": "/people.csv"}))
    with json_api(lambda *_: Answer(b"id,tel,ok,at\n1,0470 12 34 56,yes,2026-03-01\n")) as api:
        from include.optins import HttpAccess

        assert store.pull(brand, access=HttpAccess(api.url)).staged == 1
