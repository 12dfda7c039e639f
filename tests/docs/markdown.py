"""The pages of the documentation, taken apart: sections, tables, code blocks, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) +(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A code block. `language` and `title` stand behind its first fence: ```yaml sources/x.yaml"""

    language: str
    title: str
    text: str


def pages() -> list[Path]:
    """Every page that a reader may open, the front page included."""
    return sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])


def read(name: str) -> str:
    """A page of docs/ as text."""
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """The fenced code blocks."""
    return [Block(*_info(match["info"]), match["text"]) for match in _FENCE.finditer(text)]


def prose(text: str) -> str:
    """The text without its code blocks."""
    return _FENCE.sub("", text)


def sections(text: str) -> dict[str, str]:
    """Heading → what stands below it up to the next heading of any level. Headings as written."""
    text = prose(text)
    found = list(_HEADING.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return {match[2].strip(): text[match.end() : end] for match, end in zip(found, ends, strict=True)}


def rows(section: str) -> list[list[str]]:
    """The cells of the section's tables, header rows left out."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = {number for number, row in enumerate(cells) if set("".join(row)) <= set("-: ")}
    return [row for number, row in enumerate(cells) if number not in rules and number + 1 not in rules]


def named(section: str) -> list[str]:
    """What the first column of the section's tables puts in backticks."""
    return [name for row in rows(section) for name in re.findall(r"`([^`]+)`", row[0])]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    return {_anchor(match[2]) for match in _HEADING.finditer(prose(text))}


def links(text: str) -> Iterator[str]:
    """The targets of links and pictures."""
    for match in re.finditer(r"\]\(([^)\s]+)\)", prose(text)):
        yield match[1]


def _anchor(heading: str) -> str:
    plain = re.sub(r"&\w+;|[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def _info(info: str) -> tuple[str, str]:
    language, _, title = info.strip().partition(" ")
    return language, title.strip()
