"""Opt-ins in a SQL database, through any DB-API connection.

Options: `table` and, so that only what changed is read, `changed_column`; or `query`, a select that may use `:since`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from include.entities import Source
from include.optins.sources.errors import SourceProblem, SourceRefused, SourceShapeChanged, SourceUnavailable
from include.optins.sources.frames import CHUNK, columns_read, frame, require_columns
from include.optins.sources.optouts import OptOut, Told
from include.optins.sources.statement import bind, driver, moment, quoted

SHOWS_PRESENT_STATE = True
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def fetch(source: Source, access: Any, since: datetime | None) -> Iterator[pd.DataFrame]:
    """The rows changed at or after `since`, read through a server-side cursor where the driver has one.

    `access` is an open DB-API connection; it is left open, in the transaction that read. Raises SourceProblem.
    """
    try:
        statement, parameters = _statement(source, access, since)
        with closing(_cursor(access)) as cursor:
            cursor.execute(statement, parameters)
            wanted = columns_read(source)
            places: list[int] = []
            while rows := cursor.fetchmany(CHUNK):
                if not places:
                    found = [column[0] for column in cursor.description]
                    require_columns(source, found, where="the query's result")
                    places = [found.index(name) for name in wanted]
                yield frame([[row[place] for place in places] for row in rows], wanted)
    except Exception as error:
        problem = explain(source, error)
        if problem is None:
            raise
        raise problem from None


def tell(source: Source, access: Any, optouts: Sequence[OptOut], now: datetime) -> list[Told]:  # noqa: ARG001
    """Run the source's `optout.statement` for each, with `:record_id` and `:occurred_at`, committing one by one."""
    told = []
    statement = (source.optout.statement if source.optout else None) or ""
    for optout in optouts:
        moment_there = moment(optout.occurred_at, access, source.time_zone)
        parameters = {"record_id": optout.record_id, "occurred_at": moment_there}
        try:
            with closing(access.cursor()) as cursor:
                cursor.execute(*bind(statement, parameters, access))
            access.commit()
            told.append(Told())
        except Exception as error:  # noqa: BLE001 - every driver has its own classes; what is no database error is raised again
            problem = explain(source, error)
            if not isinstance(problem, SourceUnavailable) or "DataError" not in _names(error):
                raise (problem or error) from None
            # This record alone: a value that the table refuses will be refused again.
            access.rollback()
            told.append(Told(type(error).__name__, final=True))
    return told


def explain(source: Source, error: Exception) -> SourceProblem | None:
    """A DB-API driver's error as ours, by the class names of PEP 249; None for what is no database error."""
    names = _names(error)
    if "Error" not in names or isinstance(error, SourceProblem):
        return None
    # The first line only: PostgreSQL writes values of the row at fault into DETAIL.
    cause = str(error).strip().partition("\n")[0]
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
    if state == "42501" or state.startswith("28"):
        return SourceRefused(
            f"Source {source.name!r}: the database refuses us: {cause}. Correct the connection "
            f"{source.connection!r} or its user's rights, then start the pull again."
        )
    if "ProgrammingError" in names or "no such" in cause:
        return SourceShapeChanged(
            f"Source {source.name!r}: the database cannot run our query: {cause}. Compare sources/{source.name}.yaml "
            "with the table. Nothing of this pull was kept."
        )
    return SourceUnavailable(
        f"Source {source.name!r}: the database does not answer as it should: {type(error).__name__}."
    )


def _names(error: Exception) -> set[str]:
    return {each.__name__ for each in type(error).__mro__}


def _statement(source: Source, access: Any, since: datetime | None) -> tuple[str, Any]:
    options = source.options
    start = moment(since or BEGINNING, access, source.time_zone)
    if query := options.get("query"):
        return bind(query, {"since": start}, access)
    if "table" not in options:
        raise SourceShapeChanged(
            f"Source {source.name!r} says neither `table` nor `query` under options in sources/{source.name}.yaml."
        )
    names = ", ".join(quoted(name, access) for name in columns_read(source))
    # Every identifier is quoted; the value is a parameter.
    statement = f"select {names} from {quoted(options['table'], access)}"  # noqa: S608
    changed = options.get("changed_column")
    if not changed or since is None:
        return bind(statement, {}, access)
    return bind(f"{statement} where {quoted(changed, access)} >= :since", {"since": start}, access)


def _cursor(access: Any) -> Any:
    """A cursor that does not bring the whole result into memory, with rows as tuples."""
    if driver(access) == "psycopg":
        from psycopg.rows import tuple_row

        return access.cursor(name="optins", row_factory=tuple_row, withhold=access.autocommit)
    if driver(access) == "psycopg2":
        return access.cursor(name="optins", withhold=access.autocommit)
    if driver(access) in ("MySQLdb", "pymysql"):
        return access.cursor(importlib.import_module(f"{driver(access)}.cursors").SSCursor)
    return access.cursor()
