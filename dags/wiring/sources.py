"""A source's Airflow connection turned into what its kind reads from. Imported by tasks alone: Dag files are read
every few seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from include.entities import Source
from include.optins.sources import HttpAccess, SourceRefused, is_built_in
from include.optins.sources.sql import explain
from include.optins.sources.storage import storage_errors
from wiring.access import base_url
from wiring.folders import folder, leads_to_files


@contextmanager
def source_access(source: Source) -> Iterator[Any]:
    """By the type of the source's connection: a folder, an HTTP address with its credentials, an open database
    connection, or, for any other type, the connection itself. None for a source without one.

    Raises SourceProblem when it cannot be opened.
    """
    if source.connection is None:
        yield None
        return
    connection = _connection(source, source.connection)
    if leads_to_files(connection):
        yield _folder(source, connection)
    elif connection.conn_type in ("http", "https"):
        yield _http(connection)
    elif (hook := _database_hook(connection)) is not None:
        with closing(_database(source, hook)) as raw:
            yield raw
    elif is_built_in(source.kind):
        raise SourceRefused(
            f"Source {source.name!r}: the connection {source.connection!r} is of type {connection.conn_type!r}, from "
            f"which the kind {source.kind!r} cannot read. Correct its type, or install the provider that has it."
        )
    else:
        yield connection


def _connection(source: Source, conn_id: str) -> Connection:
    try:
        found: Connection = Connection.get(conn_id)
    except AirflowNotFoundException:
        raise SourceRefused(
            f"Source {source.name!r}: there is no connection {conn_id!r}. Make it in Airflow, then start again."
        ) from None
    return found


def _folder(source: Source, connection: Connection) -> Any:
    with storage_errors(source, "connecting"):
        try:
            return folder(connection)
        except (ImportError, ValueError) as error:
            raise SourceRefused(
                f"Source {source.name!r}: the connection {source.connection!r} cannot be used: {error}"
            ) from None


def _database_hook(connection: Connection) -> DbApiHook | None:
    try:
        hook: Any = connection.get_hook()  # type: ignore[no-untyped-call]  # Airflow 3.3.2
    except (AirflowException, ImportError):
        return None
    return hook if isinstance(hook, DbApiHook) else None


def _database(source: Source, hook: DbApiHook) -> Any:
    try:
        return hook.get_conn()
    except Exception as error:  # noqa: BLE001 - every driver has its own classes; what is no database error goes on
        raise (explain(source, error) or error) from None


def _http(connection: Connection) -> HttpAccess:
    headers = {str(key): str(value) for key, value in connection.extra_dejson.get("headers", {}).items()}
    if connection.password and not connection.login:
        headers["Authorization"] = f"Bearer {connection.password}"
    return HttpAccess(
        base_url=base_url(connection),
        headers=headers,
        auth=(connection.login, connection.password or "") if connection.login else None,
    )
