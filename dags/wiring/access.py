"""Airflow's connections turned into what `include` takes: a DSN, a CM.com messenger. Sources have `wiring.sources`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk import Connection

from include.database.connect import CONNECTION_ID, dsn_from_parts
from include.entities import Entity

if TYPE_CHECKING:
    from cm_com.hooks import CmComHook

    from include.campaigns.ledger import DailyLimit


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


def read_template_states(
    entity: Entity, hook: CmComHook | None = None, dsn: str | None = None
) -> dict[str, int]:
    """Ask CM.com what may be sent now, and record it; counts by state. In a thread, give it hook and DSN."""
    from include.campaigns.templates import sync_templates

    asked = entity.settings.template_state == "cm_com"
    remote = (hook or cm_com(entity)).get_templates() if asked else None
    return sync_templates(entity, remote, dsn=dsn or database(), now=datetime.now(UTC))


def daily_limit(hook: CmComHook) -> DailyLimit:
    """The limit on people per 24 hours that the connection states for its Meta portfolio."""
    from cm_com.settings import NO_LIMIT

    from include.campaigns.ledger import DailyLimit

    people = hook.settings.daily_limit
    return DailyLimit(None if people == NO_LIMIT else people, hook.settings.portfolio)


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
