"""Imports go one way, as docs/architecture.md says. Every import counts, one inside a function too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

# Room → the project's own packages it may import. `airflow` counts as one.
ROOMS: dict[str, frozenset[str]] = {
    "include": frozenset({"include"}),
    "plugins/cm_com": frozenset({"cm_com", "airflow"}),
    "plugins/whatsapp_plugin.py": frozenset({"include", "airflow"}),
    "dags": frozenset({"include", "cm_com", "wiring", "airflow"}),
}
OURS = frozenset({"include", "cm_com", "dags", "plugins", "whatsapp_plugin", "wiring", "tests", "airflow"})
# What other code may build on; Airflow changes the rest without notice.
PUBLIC_AIRFLOW = ("airflow.sdk", "airflow.providers")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path, line, name in _imports(room)
        if name.partition(".")[0] in OURS - ROOMS[room]
    ]
    assert not wrong


@pytest.mark.parametrize("room", ["dags", "plugins/cm_com"])
def test_of_airflow_only_what_is_public(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path, line, name in _imports(room)
        if name.partition(".")[0] == "airflow" and not name.startswith(PUBLIC_AIRFLOW)
    ]
    assert not wrong


def test_every_source_file_is_in_a_room() -> None:
    top = {
        path for folder in ("dags", "plugins") for path in (ROOT / folder).iterdir() if path.suffix == ".py"
    }
    rooms = [ROOT / room for room in ROOMS]
    assert {path for path in top if path not in rooms and path.parent not in rooms} == set()


def _imports(room: str) -> Iterator[tuple[Path, int, str]]:
    place = ROOT / room
    for path in sorted(place.rglob("*.py") if place.is_dir() else [place]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno} imports relatively"
                yield path, node.lineno, node.module or ""
