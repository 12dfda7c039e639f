"""An Airflow connection of type ``cm_com``, read into typed settings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from cm_com.exceptions import CmComConfigError
from cm_com.wire.messages import MAX_BATCH, to_wire_number

GATEWAY_URL: Final = "https://gw.messaging.cm.com"
TRANSACTIONS_URL: Final = "https://api.cmtelecom.com"
TEMPLATES_URL: Final = "https://api.cm.com"
TEMPLATES_PATH: Final = "/channels/v1/accounts/{account_id}/whatsapp/{channel_id}/templates"
"""Not documented by CM.com: the path stands in a comment of one public client."""

DEFAULT_MESSAGES_PER_SECOND: Final = 80
"""What Meta grants a number at first (Cloud API, "Throughput")."""

DEFAULT_BATCH_SIZE: Final = 100
"""CM.com's API description says 1,000; its own Python client stops at 100, so 100 is safe."""

NO_LIMIT: Final = 10**9
"""More people than there are: no limit on people per 24 hours."""

_CM_HOSTS = (".cm.com", ".cmtelecom.com", ".cmtelecom.co.za")
_TOKEN = re.compile(r"[\x21-\x7e]{1,256}")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class ConnectionLike(Protocol):
    """The part of Airflow's connection that is read; tests need no Airflow for it."""

    conn_id: str
    host: str | None
    schema: str | None
    port: int | None
    password: str | None

    @property
    def extra_dejson(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CmComSettings:
    """One integration with CM.com. URLs have no slash at the end; the sender is in E.164 or None."""

    conn_id: str
    token: str = field(repr=False)
    gateway_url: str
    transactions_url: str
    templates_url: str
    templates_path: str
    account_id: str | None
    channel_id: str | None
    sender: str | None = field(repr=False)
    messages_per_second: int
    batch_size: int
    daily_limit: int
    portfolio: str

    @property
    def place(self) -> str:
        """For error messages: which connection, which host."""
        return self.place_of(self.gateway_url)

    def place_of(self, url: str) -> str:
        """The same for a call to another of the URLs."""
        return f"connection {self.conn_id}, {urlsplit(url).hostname}"


def read_settings(connection: ConnectionLike) -> CmComSettings:
    """Read and check a connection.

    If the gateway is not one of CM.com's own hosts (a simulator, a relay), the message log and the
    templates are looked for there too unless the connection says otherwise.

    :raises CmComConfigError: a field is missing or malformed; the message names it and what to write there.
    """
    extra = connection.extra_dejson
    place = f"connection {connection.conn_id}"
    gateway = _url(_address(connection) or GATEWAY_URL, "Gateway URL", place)
    elsewhere = None if is_cm_host(gateway) else gateway
    return CmComSettings(
        conn_id=connection.conn_id,
        token=_token(connection.password, place),
        gateway_url=gateway,
        transactions_url=_url(
            _text(extra, "transactions_url") or elsewhere or TRANSACTIONS_URL, "Message log URL", place
        ),
        templates_url=_url(
            _text(extra, "templates_url") or elsewhere or TEMPLATES_URL, "Template API URL", place
        ),
        templates_path=_text(extra, "templates_path") or TEMPLATES_PATH,
        account_id=_text(extra, "account_id"),
        channel_id=_text(extra, "channel_id"),
        sender=_sender(_text(extra, "sender"), place),
        messages_per_second=_number(
            extra, "messages_per_second", default=DEFAULT_MESSAGES_PER_SECOND, most=1000, place=place
        ),
        batch_size=_number(extra, "batch_size", default=DEFAULT_BATCH_SIZE, most=MAX_BATCH, place=place),
        daily_limit=_number(extra, "daily_limit", default=NO_LIMIT, most=NO_LIMIT, place=place),
        portfolio=_text(extra, "portfolio") or connection.conn_id,
    )


def is_cm_host(url: str) -> bool:
    """Whether a URL leads to CM.com itself."""
    return f".{urlsplit(url).hostname or ''}".endswith(_CM_HOSTS)


def is_guid(token: str) -> bool:
    """Product tokens are GUIDs and keep their hyphens (developers.cm.com, "Integration")."""
    return _GUID.fullmatch(token) is not None


def _address(connection: ConnectionLike) -> str | None:
    """Host, port and scheme as one URL; a host without a scheme is https, as CM.com offers nothing else."""
    host = (connection.host or "").strip()
    if not host:
        return None
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    return f"{host.rstrip('/')}:{connection.port}" if connection.port else host


def _url(address: str, label: str, place: str) -> str:
    try:
        parts = urlsplit(address.strip().rstrip("/"))
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.password or parts.query or parts.fragment:
        raise CmComConfigError(
            f"{label} of {place} is not a usable address. "
            "Write it as https://host, or leave it empty for CM.com's."
        )
    if parts.scheme == "http" and is_cm_host(address):
        raise CmComConfigError(
            f"{label} of {place} would send the product token unencrypted. Write it with https://."
        )
    return parts.geturl()


def _token(password: str | None, place: str) -> str:
    token = (password or "").strip()
    if not token:
        raise CmComConfigError(
            f"The product token of {place} is missing. Copy it from CM.com's Channels app (Gateway) into the "
            "connection's Product token field."
        )
    if not _TOKEN.fullmatch(token):
        raise CmComConfigError(f"The product token of {place} has blanks or other characters no token has.")
    return token


def _sender(sender: str | None, place: str) -> str | None:
    if sender is None:
        return None
    try:
        return "+" + to_wire_number(sender)[2:]
    except ValueError:
        raise CmComConfigError(
            f"The sender number of {place} is malformed. Write it with its country code: +31600000000."
        ) from None


def _text(extra: dict[str, Any], key: str) -> str | None:
    value = extra.get(key)
    return str(value).strip() or None if value is not None else None


def _number(extra: dict[str, Any], key: str, *, default: int, most: int, place: str) -> int:
    value = _text(extra, key)
    if value is None:
        return default
    if not value.isdecimal() or not 1 <= int(value) <= most:
        raise CmComConfigError(f"{key} of {place} has to be a whole number from 1 to {most}.")
    return int(value)
