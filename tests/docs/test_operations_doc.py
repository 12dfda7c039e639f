"""docs/operations.md names every environment variable, command and connection field, and none that is not there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import typer.main
from cm_com.provider import get_provider_info
from typer.core import TyperGroup

from include.cli import app
from tests.docs import markdown

PAGE = markdown.read("operations.md")
SECTIONS = markdown.sections(PAGE)
CONSTANTS = ("VARIABLE", "ENVIRONMENT_NAME")
CODE = [path for room in ("include", "dags", "plugins") for path in (markdown.ROOT / room).rglob("*.py")]


def test_every_variable_that_is_read() -> None:
    told = set(markdown.named(SECTIONS["Environment variables"]))
    code = set().union(*map(_read_by, CODE))
    compose = set(re.findall(r"(?<!\$)\$\{(\w+)", (markdown.ROOT / "docker-compose.yaml").read_text()))
    example = set(
        re.findall(r"^(?:# )?([A-Z_]+)=", (markdown.ROOT / ".env.example").read_text(), re.MULTILINE)
    )
    assert told == code | compose | example


def test_every_command() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    assert set(markdown.named(SECTIONS["The command"])) == set(_commands(root, "whatsapp"))


def test_every_field_of_the_connection() -> None:
    told = {row[0] for row in markdown.rows(SECTIONS["Connections"])}
    kind = get_provider_info()["connection-types"][0]
    labels = {field["label"] for field in kind["conn-fields"].values()}
    labels |= set(kind["ui-field-behaviour"]["relabeling"].values())
    assert labels <= told


def _commands(group: TyperGroup, prefix: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"


def _read_by(path: Path) -> set[str]:
    """Variables that a module reads: by a text, or by a constant of the name …VARIABLE or ENVIRONMENT_NAME."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for line in tree.body:
        if isinstance(line, ast.Assign | ast.AnnAssign) and isinstance(line.value, ast.Constant):
            target = line.targets[0] if isinstance(line, ast.Assign) else line.target
            if ast.unparse(target).endswith(CONSTANTS):
                names.add(str(line.value.value))
    for node in ast.walk(tree):
        key: ast.expr | None = None
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.getenv", "os.environ.get"):
            key = node.args[0]
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            key = node.slice
        if isinstance(key, ast.Constant):
            names.add(str(key.value))
        elif key is not None:
            last = ast.unparse(key).rpartition(".")[2]
            assert last.endswith(CONSTANTS), f"{path}:{key.lineno} reads {last}"
    return names
