"""Links lead somewhere, files that the pages name exist, and so do the tests they call upon."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs import markdown

FOLDERS = ("dags/", "docs/", "include/", "plugins/", "tests/")


@pytest.mark.parametrize("page", markdown.pages(), ids=lambda page: str(page.relative_to(markdown.ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = []
    for link in markdown.links(text):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (
            anchor and anchor not in markdown.anchors(target.read_text(encoding="utf-8"))
        ):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", markdown.pages(), ids=lambda page: str(page.relative_to(markdown.ROOT)))
def test_files_and_tests_that_are_named_exist(page: Path) -> None:
    missing = []
    for name in re.findall(r"`([^`\s]+)`", markdown.prose(page.read_text(encoding="utf-8"))):
        file, _, test = name.partition("::")
        if not file.startswith(FOLDERS) or re.search(r"[<>*{…]", name):
            continue
        path = markdown.ROOT / file
        if not path.exists() or (test and test not in _functions(path)):
            missing.append(name)
    assert not missing


def test_every_page_can_be_reached_from_the_front_page() -> None:
    reached, waiting = set(), [markdown.ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        found = [
            (page.parent / link.partition("#")[0]).resolve()
            for link in markdown.links(page.read_text(encoding="utf-8"))
            if "://" not in link and link.partition("#")[0].endswith(".md")
        ]
        waiting += [each for each in found if each.exists() and each not in reached]
    # The list of decisions is their folder.
    unlisted = {page for page in set(markdown.pages()) - reached if page.parent / "README.md" not in reached}
    assert unlisted == set()


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
