"""The webhook alone, in a process of its own: for volume, and so that Airflow may restart without losing a status."""

from __future__ import annotations

import gc
import os
import sys
from zoneinfo import available_timezones

import uvicorn

from include.subscriptions import suppression_key_from_environment
from include.webhooks.app import CM_TIME_ZONE, build_app
from include.webhooks.patience import PatientProtocol
from include.webhooks.secrets import SettingsProblem, secrets_from_environment

TIME_ZONE_VARIABLE = "WHATSAPP_CM_TIME_ZONE"
# More requests at once than this are answered 503 by the server itself.
CONNECTIONS = 4_000


def serve(dsn: str, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, then commit what is waiting. One process: more of them share nothing but the
    database.

    Settings from the environment: WHATSAPP_WEBHOOK_SECRETS, WHATSAPP_SUPPRESSION_KEY, WHATSAPP_CM_TIME_ZONE. Raises
    SettingsProblem, SuppressionKeyProblem.
    """
    # The committing thread waits for the interpreter at most this long (5 ms by default), and so does every request.
    sys.setswitchinterval(0.001)
    app = build_app(
        dsn,
        secrets_from_environment(),
        time_zone=time_zone_from_environment(),
        suppression_key=suppression_key_from_environment(),
    )
    # What is loaded by now lives as long as the process: a full collection would stop every answer to look through it.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        host=host,
        port=port,
        lifespan="on",
        ws="none",
        access_log=False,  # a request's path is its secret
        log_level="warning",
        server_header=False,
        date_header=False,
        proxy_headers=False,  # nothing here asks who the client is
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=20,
    )
    uvicorn.Server(config).run()


def time_zone_from_environment() -> str:
    """The zone of times in status reports: WHATSAPP_CM_TIME_ZONE, else Dutch time. Raises SettingsProblem."""
    zone = os.environ.get(TIME_ZONE_VARIABLE) or CM_TIME_ZONE
    if zone not in available_timezones():
        raise SettingsProblem(
            f"{TIME_ZONE_VARIABLE} is {zone!r}, which is no IANA time zone such as Europe/Amsterdam."
        )
    return zone
