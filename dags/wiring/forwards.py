"""The places that an entity's replies are sent on to, from Airflow's connections."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk import Connection

from include.entities import Entity
from include.entities.models import Forward
from wiring.access import base_url

if TYPE_CHECKING:
    from include.inbound import Forwarder


def forwarders(entity: Entity) -> dict[str, Forwarder]:
    """By name: e-mail through a connection of type smtp, anything else a URL whose connection's password signs."""
    return {forward.name: _forwarder(entity, forward) for forward in entity.settings.forwards}


def _forwarder(entity: Entity, forward: Forward) -> Forwarder:
    from include.inbound import EmailForwarder, WebhookForwarder

    connection = Connection.get(forward.connection)
    if connection.conn_type != "smtp":
        url = base_url(connection) + str(connection.extra_dejson.get("path", ""))
        secret = (connection.password or "").encode()
        return WebhookForwarder(url=url, secret=secret, now=lambda: datetime.now(UTC))

    def send(subject: str, text: str) -> None:
        from airflow.providers.smtp.hooks.smtp import SmtpHook

        with SmtpHook(smtp_conn_id=forward.connection) as hook:
            hook.send_email_smtp(
                to=list(forward.to), subject=subject, html_content=f"<pre>{html.escape(text)}</pre>"
            )

    return EmailForwarder(send=send, label=entity.settings.label)
