"""docs/reports.md has every figure, reason, cause and view that the product has, and its SQL runs."""

from __future__ import annotations

import re

import psycopg

from include.message_log.codes import CAUSES
from include.reports.figures import FIGURES, REASONS
from tests.docs import markdown

PAGE = markdown.read("reports.md")
SECTIONS = markdown.sections(PAGE)


def test_every_figure_with_its_label_and_denominator() -> None:
    told = {row[0].strip("`"): row for row in markdown.rows(SECTIONS["What each figure means"])}
    assert {name: row[1] for name, row in told.items()} == {
        name: each.label for name, each in FIGURES.items()
    }
    for name, figure in FIGURES.items():
        if figure.of:
            assert f"{figure.label} ÷ {FIGURES[figure.of].label}" in told[name][2]


def test_every_reason_in_the_order_in_which_planning_gives_them() -> None:
    section = SECTIONS["Why people are excluded"]
    told = re.findall(r"^\d+\. `(\w+)`", section, re.MULTILINE)
    campaigns = markdown.ROOT / "include/campaigns"
    code = "".join((campaigns / name).read_text() for name in ("plan.sql", "audience.py"))
    given = [reason for reason in re.findall(r"then '(\w+)'", code) if reason in REASONS]
    assert told == given
    assert set(REASONS) == {name for name in re.findall(r"`(\w+)`", section) if name in REASONS}


def test_every_cause() -> None:
    told = [row[0] for row in markdown.rows(SECTIONS["Why messages fail"])]
    assert told == [cause.label for cause in CAUSES.values()]


def test_every_view_and_the_sql_runs(migrated_database: str) -> None:
    statements = [block.text for block in markdown.blocks(PAGE) if block.language == "sql"]
    with psycopg.connect(migrated_database) as conn:
        views = conn.execute("select viewname from pg_views where schemaname = 'public'").fetchall()
        for statement in statements:
            conn.execute(statement.replace("to bi;", "to public;"))  # making a role takes an administrator
        conn.rollback()
    assert set(markdown.named(SECTIONS["For BI tools"])) == {row[0] for row in views}
