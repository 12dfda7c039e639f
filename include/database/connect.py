"""Connections to the project's database. The address is always given by the caller; only the CLI reads the
environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

CONNECTION_ID = "whatsapp_db"
ENVIRONMENT_NAME = "AIRFLOW_CONN_WHATSAPP_DB"
# UTC in every session: aware times go in and come out, and a log row's text form never depends on the
# server's zone.
OPTIONS: dict[str, Any] = {"connect_timeout": 10, "options": "-c TimeZone=UTC", "keepalives_idle": 30}


# Of a connection's `extra`, what libpq knows: how to encrypt and whom to trust. Anything else is Airflow's.
LIBPQ_OPTIONS = ("ssl", "channel_binding", "target_session_attrs", "gssencmode")


class DatabaseUnavailable(Exception):
    """The project's database does not answer or refuses us; the same call may work later."""


def connect(dsn: str, *, application: str = "whatsapp") -> psycopg.Connection[DictRow]:
    """Open a connection that returns rows as dicts and commits only when told.

    Raises DatabaseUnavailable with the server's address (never the password).
    """
    try:
        return psycopg.connect(dsn, row_factory=dict_row, application_name=application, **OPTIONS)
    except psycopg.OperationalError as error:
        raise _unavailable(dsn, error) from None


async def connect_async(dsn: str, *, application: str = "whatsapp") -> psycopg.AsyncConnection[DictRow]:
    """`connect`, for an event loop."""
    try:
        return await psycopg.AsyncConnection.connect(
            dsn, row_factory=dict_row, application_name=application, **OPTIONS
        )
    except psycopg.OperationalError as error:
        raise _unavailable(dsn, error) from None


def dsn_from_environment() -> str:
    """The DSN that commands outside Airflow use: Airflow's own variable for the connection `whatsapp_db`, URI
    or JSON.

    Raises DatabaseUnavailable when the variable is not set.
    """
    value = os.environ.get(ENVIRONMENT_NAME, "").strip()
    if not value:
        raise DatabaseUnavailable(
            f"No database is configured. Set {ENVIRONMENT_NAME}, for example "
            "postgresql://whatsapp:secret@localhost:5432/whatsapp (the same variable gives Airflow its "
            f"connection {CONNECTION_ID})."
        )
    if value.startswith("{"):
        return dsn_from_parts(**_only_parts(json.loads(value)))
    # Airflow writes the scheme as postgres or postgresql+driver; libpq knows postgresql alone.
    scheme, separator, rest = value.partition("://")
    return f"postgresql://{rest}" if separator and scheme.startswith("postgres") else value


def dsn_from_parts(
    *,
    host: str | None = None,
    port: int | None = None,
    login: str | None = None,
    password: str | None = None,
    schema: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> str:
    """The DSN of an Airflow connection's fields (`schema` is the database's name, `options` such as sslmode)."""
    user = quote(login or "", safe="") + (f":{quote(password, safe='')}" if password else "")
    address = (host or "localhost") + (f":{port}" if port else "")
    known = {name: str(value) for name, value in (options or {}).items() if name.startswith(LIBPQ_OPTIONS)}
    query = f"?{urlencode(known, quote_via=quote)}" if known else ""
    return f"postgresql://{user + '@' if user else ''}{address}/{schema or 'whatsapp'}{query}"


def _only_parts(fields: dict[str, Any]) -> dict[str, Any]:
    parts = {name: fields.get(name) for name in ("host", "port", "login", "password", "schema")}
    extra = fields.get("extra") or {}
    return {**parts, "options": json.loads(extra) if isinstance(extra, str) else extra}


def _unavailable(dsn: str, error: Exception) -> DatabaseUnavailable:
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return DatabaseUnavailable("The database address cannot be read: it is not a PostgreSQL URI.")
    where = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
    cause = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    return DatabaseUnavailable(
        f"The WhatsApp database at {where} cannot be reached: {cause}. "
        f"Check that the server runs and that the connection {CONNECTION_ID} is right; nothing was changed."
    )
