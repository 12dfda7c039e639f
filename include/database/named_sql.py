"""Named SQL: every statement lives in a `.sql` file beside the module that uses it, with its contract as
comment.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import aiosql


@cache
def named_sql(module_file: str, name: str = "queries.sql") -> Any:
    """The statements of the file `name` in the folder of `module_file`, as aiosql query functions of a
    psycopg connection.

    In an async engine use `named_sql(...).<statement>.sql`, which has psycopg's own placeholders.
    """
    return aiosql.from_path(Path(module_file).with_name(name), "psycopg")
