"""One SQL statement with :named parameters for whatever DB-API driver a source's connection has."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

# A literal, a quoted name or a comment is copied as it is; `::type` is a cast; `:name` is a parameter.
_TOKENS = re.compile(
    r"(?P<skip>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|::)|:(?P<name>[A-Za-z_]\w*)", re.DOTALL
)


def driver(connection: Any) -> str:
    """The top package of a DB-API connection's class, such as `psycopg`, `psycopg2` or `sqlite3`."""
    return type(connection).__module__.partition(".")[0]


def bind(statement: str, parameters: Mapping[str, Any], connection: Any) -> tuple[str, Any]:
    """`statement` with :named parameters as the connection's driver wants it, and its parameters.

    Raises KeyError when the statement names a parameter that is not given.
    """
    style = _paramstyle(connection)
    values: list[Any] = []

    def place(match: re.Match[str]) -> str:
        if match["skip"]:
            return _escaped(match["skip"], style)
        name = match["name"]
        values.append(parameters[name])
        return {
            "qmark": "?",
            "format": "%s",
            "numeric": f":{len(values)}",
            "pyformat": f"%({name})s",
            "named": f":{name}",
        }[style]

    pieces, end = [], 0
    for match in _TOKENS.finditer(statement):
        pieces += [_escaped(statement[end : match.start()], style), place(match)]
        end = match.end()
    text = "".join([*pieces, _escaped(statement[end:], style)])
    return text, dict(parameters) if style in ("pyformat", "named") else values


def _paramstyle(connection: Any) -> str:
    """What PEP 249 calls it, from the nearest package of the connection's class that says so: `snowflake` says nothing,
    `snowflake.connector` does.
    """
    module = type(connection).__module__
    while module:
        if style := getattr(sys.modules.get(module), "paramstyle", None):
            return str(style)
        module = module.rpartition(".")[0]
    return "named"


def quoted(name: str, connection: Any) -> str:
    """`schema.table` as quoted identifiers of the connection's SQL dialect."""
    mark = "`" if driver(connection) in ("MySQLdb", "pymysql", "mysql") else '"'
    return ".".join(mark + part.replace(mark, mark * 2) + mark for part in name.split("."))


def moment(value: datetime, connection: Any, zone: str | None) -> Any:
    """A time as the driver understands it: aware for PostgreSQL, elsewhere naive in the source's zone (UTC if none)."""
    if driver(connection) in ("psycopg", "psycopg2"):
        return value
    naive = value.astimezone(ZoneInfo(zone) if zone else UTC).replace(tzinfo=None)
    # sqlite has no time type: its own functions write this text, and comparing it as text is right.
    return naive.isoformat(" ") if driver(connection) == "sqlite3" else naive


def _escaped(text: str, style: str) -> str:
    return text.replace("%", "%%") if style in ("format", "pyformat") else text
