"""README.md: its commands exist, its files load, its path from a CSV with one person to a segment of one is right."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from include.entities import load_entity
from include.local.books import COUNTED
from include.local.demo import PEOPLE, SEED
from include.optins.sources import file
from include.simulator.sample import build_sample, expected
from tests.docs import markdown

PAGE = (markdown.ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = {block.title: block.text for block in markdown.blocks(PAGE) if block.title}


def test_the_output_shown_is_what_the_sample_gives() -> None:
    told = {
        label.strip(): figure
        for label, figure in re.findall(r"^(\w[\w ]+?) {2,}([\d,]+)  ", PAGE, re.MULTILINE)
    }
    figures = expected(build_sample(people=PEOPLE, seed=SEED))
    labels = {name: name.replace("_", " ").capitalize() for name in COUNTED}
    assert {name: told[label] for name, label in labels.items()} == {
        name: f"{figures[name]:,}" for name in COUNTED
    }


def test_every_make_target_exists() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in markdown.pages())
    targets = set(re.findall(r"^([a-z]+):", (markdown.ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", pages, re.MULTILINE)) <= targets


def test_the_first_source_and_segment_load_and_fit_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    shutil.copytree(markdown.ROOT / "include/entities/acme", folder)
    for title in ("sources/testers.yaml", "segments/testers.yaml"):
        (folder / title).write_text(BLOCKS[title])
    entity = load_entity("acme", tmp_path)
    (tmp_path / "testers.csv").write_text(BLOCKS["testers.csv"])
    (frame,) = file.fetch(entity.source("testers"), tmp_path, None)
    column = entity.source("testers").columns.attributes["tester"]
    assert frame[column].tolist() == [entity.segment("testers").attributes["tester"]]
