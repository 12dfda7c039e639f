"""What Airflow is told about this provider (entry point ``apache_airflow_provider`` in pyproject.toml).

Every ``import airflow`` in the environment calls :func:`get_provider_info`, so this module imports nothing.
"""

from __future__ import annotations

from typing import Any

_OPTIONAL_TEXT = {"type": ["string", "null"]}


def get_provider_info() -> dict[str, Any]:
    """The connection type ``cm_com`` with its form fields.

    ``package-name`` has to equal the name of the installed distribution: Airflow 3.3 refuses the provider
    otherwise. The product token is the connection's password, so Airflow encrypts and masks it; the other
    fields are keys of its ``extra``.
    """
    return {
        "package-name": "airflow-whatsapp-campaigns",
        "name": "CM.com",
        "description": "WhatsApp through CM.com's Business Messaging gateway.",
        "connection-types": [
            {
                "connection-type": "cm_com",
                "hook-class-name": "cm_com.hooks.CmComHook",
                "hook-name": "CM.com",
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema", "port"],
                    "relabeling": {"password": "Product token", "host": "Gateway URL"},
                    "placeholders": {
                        "host": "https://gw.messaging.cm.com",
                        "password": "00000000-0000-0000-0000-000000000000",
                    },
                },
                "conn-fields": _conn_fields(),
            }
        ],
    }


def _conn_fields() -> dict[str, dict[str, Any]]:
    return {
        "account_id": {
            "label": "Account id",
            "description": "The account's GUID, as in the address of CM.com's portal; to read templates.",
            "schema": _OPTIONAL_TEXT,
        },
        "channel_id": {
            "label": "Channel id",
            "description": "The WhatsApp channel's GUID, to read templates. It plays no part in sending.",
            "schema": _OPTIONAL_TEXT,
        },
        "sender": {
            "label": "Sender number",
            "description": "Your WhatsApp number at CM.com, such as +31687654321. CM.com does not refuse a "
            "number it does not know: it sends from your first one instead.",
            "schema": _OPTIONAL_TEXT,
        },
        "messages_per_second": {
            "label": "Messages per second",
            "description": "The most this number may send. Meta grants 80 at first and up to 1,000 later.",
            "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000, "default": 80},
        },
        "daily_limit": {
            "label": "People per 24 hours",
            "description": "Meta's messaging limit of your portfolio, less what other messages need. Empty: none.",
            "schema": {"type": ["integer", "null"], "minimum": 1},
        },
        "portfolio": {
            "label": "Portfolio",
            "description": "Connections of one Meta portfolio share its limit: give them the same word here.",
            "schema": _OPTIONAL_TEXT,
        },
        "batch_size": {
            "label": "Messages per request",
            "description": "CM.com documents 1,000 at most; its own Python client stops at 100.",
            "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000, "default": 100},
        },
        "transactions_url": {
            "label": "Message log URL",
            "description": "Empty: https://api.cmtelecom.com, or the gateway URL if that is not CM.com's.",
            "schema": _OPTIONAL_TEXT,
        },
        "templates_url": {
            "label": "Template API URL",
            "description": "Empty: https://api.cm.com, or the gateway URL if that is not CM.com's own.",
            "schema": _OPTIONAL_TEXT,
        },
        "templates_path": {
            "label": "Template API path",
            "description": "CM.com does not document it; {account_id} and {channel_id} are filled in. Empty: "
            "/channels/v1/accounts/{account_id}/whatsapp/{channel_id}/templates",
            "schema": _OPTIONAL_TEXT,
        },
    }
