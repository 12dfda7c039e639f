"""Airflow's connections turned into what `include` takes: a DSN, a source's access, a CM.com messenger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import Connection

from include.database.connect import CONNECTION_ID, dsn_from_parts
from include.entities import Entity, Source

if TYPE_CHECKING:
    from cm_com.hooks import CmComHook

    from include.campaigns.lane import DailyLimit


def database() -> str:
    """The DSN of the project's database, from the connection `whatsapp_db`."""
    connection = Connection.get(CONNECTION_ID)
    return dsn_from_parts(
        host=connection.host,
        port=connection.port,
        login=connection.login,
        password=connection.password,
        schema=connection.schema,
        options=connection.extra_dejson,
    )


def cm_com(entity: Entity) -> CmComHook:
    """The hook of the entity's integration."""
    from cm_com.hooks import CmComHook

    return CmComHook(cm_com_conn_id=entity.settings.connection)


def daily_limit(hook: CmComHook) -> DailyLimit:
    """The limit on people per 24 hours that the connection states for its Meta portfolio."""
    from cm_com.settings import NO_LIMIT

    from include.campaigns.lane import DailyLimit

    people = hook.settings.daily_limit
    return DailyLimit(None if people == NO_LIMIT else people, hook.settings.portfolio)


@contextmanager
def source_access(source: Source) -> Iterator[Any]:
    """What the source's kind reads from: a database connection, an HTTP address with its credentials, or a
    folder.
    """
    if source.connection is None:
        yield None
        return
    connection = Connection.get(source.connection)
    if source.kind == "sql":
        raw = connection.get_hook().get_conn()
        try:
            yield raw
        finally:
            raw.close()
    elif source.kind == "file":
        from airflow.sdk import ObjectStoragePath

        extra = connection.extra_dejson
        path = extra.get("path") or f"{connection.schema or ''}/{connection.host or ''}"
        scheme = "file" if connection.conn_type == "fs" else connection.conn_type
        yield ObjectStoragePath(f"{scheme}://{path}", conn_id=None if scheme == "file" else source.connection)
    else:
        from include.optins.sources import HttpAccess

        headers = {str(key): str(value) for key, value in connection.extra_dejson.get("headers", {}).items()}
        if connection.password and not connection.login:
            headers["Authorization"] = f"Bearer {connection.password}"
        yield HttpAccess(
            base_url=base_url(connection),
            headers=headers,
            auth=(connection.login, connection.password or "") if connection.login else None,
        )


def suppression_key() -> bytes:
    """The key of the suppression list, the same for every part of the system."""
    from include.subscriptions import suppression_key_from_environment

    return suppression_key_from_environment()


def base_url(connection: Connection) -> str:
    """The address of an HTTP connection, without a slash at its end."""
    host = connection.host or "localhost"
    if "://" in host:
        return host.rstrip("/") + (f":{connection.port}" if connection.port else "")
    scheme = connection.schema or ("https" if connection.conn_type == "https" else "http")
    return f"{scheme}://{host}" + (f":{connection.port}" if connection.port else "")
