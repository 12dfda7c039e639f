"""Named SQL: every statement lives in a `.sql` file beside the module that uses it, with its contract as
comment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import aiosql
import psycopg


@cache
def named_sql(module_file: str, name: str = "queries.sql") -> Any:
    """The statements of the file `name` in the folder of `module_file`, as aiosql query functions of a
    psycopg connection.

    In an async engine use `named_sql(...).<statement>.sql`, which has psycopg's own placeholders.
    """
    return aiosql.from_path(Path(module_file).with_name(name), "psycopg")


@dataclass(frozen=True, slots=True)
class LongStatement:
    """A statement of more than 4,096 characters that runs many times a second.

    psycopg (3.3) looks through a text for its parameters every time it is longer than that: 0.3 ms of CPU for each run.
    """

    text: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, query: Any) -> LongStatement:
        """The statement of one of `named_sql`'s functions."""
        names: dict[str, int] = {}

        def number(match: re.Match[str]) -> str:
            return f"${names.setdefault(match[1], len(names) + 1)}" if match[1] else "%"

        text = re.sub(r"%\((\w+)\)s|%%", number, query.sql)
        return cls(text, tuple(names))

    def row(self, conn: psycopg.Connection[Any], parameters: Mapping[str, Any]) -> dict[str, Any] | None:
        """Run it; the first row of its result, as `conn` gives rows."""
        with psycopg.RawCursor(conn, row_factory=conn.row_factory) as cursor:
            cursor.execute(self.text, [parameters[name] for name in self.names])
            return cursor.fetchone()
