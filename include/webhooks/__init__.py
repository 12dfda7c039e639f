"""Where CM.com pushes statuses and replies: an ASGI app, mounted in Airflow's API server or served alone."""

from include.webhooks.app import CM_TIME_ZONE, Webhook, build_app
from include.webhooks.secrets import Secrets, SecretsProblem, secrets_from_environment
from include.webhooks.serve import serve

__all__ = [
    "CM_TIME_ZONE",
    "Secrets",
    "SecretsProblem",
    "Webhook",
    "build_app",
    "secrets_from_environment",
    "serve",
]
