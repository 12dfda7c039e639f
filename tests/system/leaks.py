"""What must be in no log, XCom, Dag run or rendered field: people's numbers, what was written to them, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import phonenumbers
import psycopg
from psycopg import sql

# A run of digits as a number is written, each with at most one separator before it.
_RUN = re.compile(r"(?<![\w.])\+?\(?\d(?:[ ()/\u00a0-]?\d){6,17}(?!\w)")
_PLAIN = re.compile(r"(?<!\w)\d{7,18}(?!\w)")
_BYTES = re.compile(r"\\x((?:[0-9a-f]{2})+)")
_TABLES = sql.SQL(
    "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace "
    "where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition order by 1"
)


def forms(numbers: Iterable[str]) -> frozenset[str]:
    """The digits of E.164 numbers as they may stand in a text: international, with 00, national."""
    found = set()
    for number in numbers:
        parsed = phonenumbers.parse(number)
        international = number.removeprefix("+")
        national = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
        found |= {international, f"00{international}", re.sub(r"\D", "", national)}
    return frozenset(found)


def numbers_in(text: str, known: frozenset[str]) -> set[str]:
    """Those of `forms` that the text contains, written with or without separators."""
    runs = {re.sub(r"\D", "", run) for run in _RUN.findall(text)} | set(_PLAIN.findall(text))
    return runs & known


def database_text(dsn: str, *, without: str | None = None) -> str:
    """Every row of every table (but one) of a database; bytes also as the characters they may stand for."""
    with psycopg.connect(dsn) as conn:
        lines = []
        for (table,) in conn.execute(_TABLES).fetchall():
            if table == without:
                continue
            rows = conn.execute(sql.SQL("select t::text from {} t").format(sql.SQL(table))).fetchall()
            lines += [f"{table} {row[0]}" for row in rows]
    text = "\n".join(lines)
    stored = (bytes.fromhex(found).decode("latin-1") for found in _BYTES.findall(text))
    return "\n".join([text, *stored])


def log_texts(*folders: Path) -> Iterator[tuple[Path, str]]:
    """(file, its text) of all files below the folders."""
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                yield file, file.read_text(errors="replace")
