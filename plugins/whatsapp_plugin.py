"""Registers the report pages and the webhook with Airflow: who may read, where the database is, what is in the menu.

Whoever may read an entity's Dag `send_campaign__<entity>` reads that entity's pages; whoever may edit it gets
phone numbers in exports. Airflow's auth manager answers both, for the UI's cookie and for a token alike.

Airflow loads this file in every process, tasks included, so nothing is imported before the API server asks.
"""

import asyncio
import hashlib
import hmac
import logging
import os
from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PAGES = "/whatsapp"
HOOKS = "/whatsapp-hooks"
CONNECTION = "whatsapp_db"

log = logging.getLogger(__name__)


class WhatsAppPlugin(AirflowPlugin):
    """Pages behind Airflow's login, the webhook behind its secret paths, and the entry in the menu."""

    name = "whatsapp"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override] # Airflow reads an instance
        """What Airflow's API server mounts."""
        pages = {"name": "WhatsApp campaigns", "url_prefix": PAGES, "app": _pages()}
        secrets = _secrets()
        if secrets is None:
            return [pages]
        return [pages, {"name": "WhatsApp webhook", "url_prefix": HOOKS, "app": MountedWebhook(secrets)}]

    @cached_property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The menu entry; Airflow shows the pages in a frame of its own page."""
        from urllib.parse import urlsplit

        from airflow.configuration import conf

        root = urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/")
        return [
            {
                "name": "WhatsApp",
                "href": f"{root}{PAGES}/",
                "icon": f"{root}{PAGES}/static/icon.svg",
                "destination": "nav",
                "url_route": "whatsapp",
                "nav_top_level": True,
            }
        ]


class MountedWebhook:
    """The webhook inside Airflow's API server: found with its first request, and absent from the access log."""

    def __init__(self, secrets: Any) -> None:
        self._secrets = secrets
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request; 503 (CM.com comes again) while the database's address is not known."""
        inner = dict(scope)
        # Airflow's access log reads path and query when the answer is out: one is the secret, the other may
        # hold a phone number (HttpAccessLogMiddleware, Airflow 3.3.2).
        scope |= {"path": HOOKS, "raw_path": HOOKS.encode(), "query_string": b""}
        if self._app is None and scope["type"] == "http":
            from include.database import DatabaseUnavailable
            from include.subscriptions import SuppressionKeyProblem
            from include.webhooks import SettingsProblem

            try:
                self._app = await asyncio.to_thread(self._build)
            except (DatabaseUnavailable, SettingsProblem, SuppressionKeyProblem) as error:
                log.error("The webhook cannot take anything: %s", error)  # noqa: TRY400 - the sentence says it
                headers = [(b"content-length", b"0"), (b"retry-after", b"60")]
                await send({"type": "http.response.start", "status": 503, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
                return
        await self._app(inner, receive, send)

    def _build(self) -> Any:
        from include.subscriptions import suppression_key_from_environment
        from include.webhooks import build_app, time_zone_from_environment

        key, zone = suppression_key_from_environment(), time_zone_from_environment()
        return build_app(_dsn(), self._secrets, suppression_key=key, time_zone=zone)


def _pages() -> Any:
    """The report pages. Airflow mounts plugin apps without authentication: it is asked for here, on every route."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagDetails
    from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
    from airflow.models.dag import DagModel
    from fastapi import Depends

    from include.pages import Access, build_pages

    def access(user: GetUserDep) -> Access:
        def may(method: Any, entity: str) -> bool:
            dag_id = f"send_campaign__{entity}"
            details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
            return get_auth_manager().is_authorized_dag(method=method, details=details, user=user)

        return Access(
            may_read=lambda entity: may("GET", entity),
            may_edit=lambda entity: may("PUT", entity),
            reader=user.get_name(),
        )

    logged_in = Depends(requires_access_view(AccessView.PLUGINS))
    return build_pages(
        dsn=_dsn, access=access, form_key=_form_key, go_on=_run_again, dependencies=[logged_in]
    )


def _form_key() -> bytes:
    """A key of our own from the secret that every API server of this Airflow has."""
    from airflow.configuration import conf

    secret = conf.get_mandatory_value("api", "secret_key")
    return hmac.new(secret.encode(), b"whatsapp pages: forms", hashlib.sha256).digest()


def _run_again(run_key: str) -> Any:
    """Get the Dag run of a resumed campaign going: one that has ended is cleared from `send` on."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import clear_task_instances
    from airflow.utils.session import create_session
    from airflow.utils.state import State
    from sqlalchemy import select

    dag_id, _, run_id = run_key.partition("/")
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None:
            return "by_hand"
        if run.state in State.unfinished_dr_states:
            return "goes_on"
        outstanding = [
            task for task in run.get_task_instances(session=session) if task.task_id in ("send", "settle")
        ]
        if not any(task.task_id == "send" for task in outstanding):
            return "by_hand"
        clear_task_instances(outstanding, session)
        return "started_again"


def _secrets() -> Any:
    """The webhook's secrets, or None: then nothing is mounted, and there is no path to guess."""
    from include.webhooks import SecretsProblem, secrets_from_environment
    from include.webhooks.secrets import ENVIRONMENT_NAME

    if not os.environ.get(ENVIRONMENT_NAME, "").strip():
        return None
    try:
        return secrets_from_environment()
    except SecretsProblem as problem:
        log.error("The webhook is not mounted: %s", problem)  # noqa: TRY400 - the sentence says it
        return None


def _dsn() -> str:
    """The project's database, as the connection `whatsapp_db` says now. Raises DatabaseUnavailable without one."""
    from airflow.models.connection import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    from include.database import DatabaseUnavailable
    from include.database.connect import dsn_from_parts

    try:
        found = Connection.get_connection_from_secrets(CONNECTION)
    except AirflowNotFoundException:
        raise DatabaseUnavailable(f"Airflow has no connection {CONNECTION}.") from None
    return dsn_from_parts(
        host=found.host,
        port=found.port,
        login=found.login,
        password=found.password,
        schema=found.schema,
        options=found.extra_dejson,
    )
