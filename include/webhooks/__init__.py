"""Where CM.com pushes statuses and replies: an ASGI app, mounted in Airflow's API server or served alone."""

from include.webhooks.app import CM_TIME_ZONE, Webhook, build_app
from include.webhooks.secrets import Secrets, SecretsProblem, SettingsProblem, secrets_from_environment
from include.webhooks.serve import serve, time_zone_from_environment

__all__ = [
    "CM_TIME_ZONE",
    "Secrets",
    "SecretsProblem",
    "SettingsProblem",
    "Webhook",
    "build_app",
    "secrets_from_environment",
    "serve",
    "time_zone_from_environment",
]
