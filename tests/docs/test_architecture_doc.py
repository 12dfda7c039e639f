"""docs/architecture.md names every room, Dag and table, and none that is not there."""

from __future__ import annotations

import re

import psycopg

from tests.docs import markdown

PAGE = markdown.read("architecture.md")
SECTIONS = markdown.sections(PAGE)


def test_every_table(migrated_database: str) -> None:
    with psycopg.connect(migrated_database) as conn:
        tables = conn.execute(
            "select c.relname from pg_class c where c.relkind in ('r', 'p') and not c.relispartition "
            "and c.relnamespace = 'public'::regnamespace and c.relname <> 'alembic_version'"
        ).fetchall()
    assert sorted(markdown.named(SECTIONS["The store"])) == sorted(name for (name,) in tables)


def test_every_dag() -> None:
    files = {path.stem for path in (markdown.ROOT / "dags").glob("*.py")}
    assert set(markdown.named(SECTIONS["Dags"])) == files - {"check_entities"}


def test_every_room() -> None:
    picture = markdown.blocks(PAGE)[0].text
    include = picture.split("\ninclude/")[1]
    told = set(re.findall(r"\b(\w+)/", include))
    folders = {path.parent.name for path in (markdown.ROOT / "include").glob("*/__init__.py")}
    assert told == folders
