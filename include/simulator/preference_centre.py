"""The sample's preference centre: a paged JSON API behind a bearer token, as such systems have it.

    GET /api/v1/preferences?page=1&page_size=500[&changed_since=2026-02-01T00:00:00Z]
        → {"data": [{"id", "msisdn", "locale", "channels": {"whatsapp": {"consent", "changed_at"}}, "profile": {…}}],
           "page", "total"}
    PUT /api/v1/preferences/{id}/whatsapp   {"consent": false}   → the entry
    GET /health                             → {"entries": n}     (no token needed)

Run it with `python -m include.simulator.preference_centre --port 8090`. It keeps its changes in memory.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from include.simulator.sample import Preference, Sample, build_sample

TOKEN_VARIABLE = "SAMPLE_PREFERENCE_CENTRE_TOKEN"  # noqa: S105 - a variable's name
CONNECTION_VARIABLE = "AIRFLOW_CONN_PREFERENCE_CENTRE"
LARGEST_PAGE = 1_000
ENTRIES = web.AppKey("entries", dict[str, dict[str, Any]])


def application(sample: Sample, *, token: str) -> web.Application:
    """The API over a sample's entries; whoever calls must know the token."""

    @web.middleware
    async def authorised(request: web.Request, handler: Any) -> web.StreamResponse:
        said = request.headers.get("Authorization", "")
        if request.path != "/health" and not hmac.compare_digest(said.encode(), f"Bearer {token}".encode()):
            return _problem(401, "the token is not known")
        response: web.StreamResponse = await handler(request)
        return response

    app = web.Application(middlewares=[authorised])
    app[ENTRIES] = {entry.id: _document(entry) for entry in sample.preferences}
    app.router.add_get("/health", _health)
    app.router.add_get("/api/v1/preferences", _list)
    app.router.add_put("/api/v1/preferences/{id}/whatsapp", _change)
    return app


def run(port: int, sample: Sample, *, token: str, host: str = "127.0.0.1") -> None:
    """Serve until interrupted."""
    web.run_app(application(sample, token=token), host=host, port=port, print=None, access_log=None)


def main(arguments: list[str] | None = None) -> None:
    """`python -m include.simulator.preference_centre`. The token comes from the environment alone."""
    parser = argparse.ArgumentParser(description="The sample's preference centre.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=26)
    chosen = parser.parse_args(arguments)
    token = _token()
    if not token:
        parser.error(f"set {TOKEN_VARIABLE}, or {CONNECTION_VARIABLE} with a password")
    run(chosen.port, build_sample(chosen.people, chosen.seed), token=token, host=chosen.host)


def _token() -> str:
    """The demo gives every process Airflow's connections, so that server and client need not be told twice."""
    connection = os.environ.get(CONNECTION_VARIABLE, "")
    known = json.loads(connection).get("password") if connection.startswith("{") else None
    return os.environ.get(TOKEN_VARIABLE) or known or ""


def _document(entry: Preference) -> dict[str, Any]:
    return {
        "id": entry.id,
        "msisdn": entry.msisdn,
        "locale": entry.locale,
        "channels": {"whatsapp": {"consent": entry.consent, "changed_at": _text(entry.changed_at)}},
        "profile": {"first_name": entry.first_name},
    }


async def _health(request: web.Request) -> web.Response:
    return web.json_response({"entries": len(request.app[ENTRIES])})


async def _list(request: web.Request) -> web.Response:
    try:
        page = int(request.query.get("page", "1"))
        size = min(LARGEST_PAGE, int(request.query.get("page_size", "100")))
        since = datetime.fromisoformat(request.query.get("changed_since", "1970-01-01T00:00:00Z"))
    except ValueError as error:
        return _problem(400, str(error))
    if page < 1 or size < 1 or since.tzinfo is None:
        return _problem(400, "page and page_size count from 1, changed_since needs an offset")
    found = [
        entry
        for entry in request.app[ENTRIES].values()
        if datetime.fromisoformat(entry["channels"]["whatsapp"]["changed_at"]) >= since
    ]
    first = (page - 1) * size
    return web.json_response({"data": found[first : first + size], "page": page, "total": len(found)})


async def _change(request: web.Request) -> web.Response:
    entry = request.app[ENTRIES].get(request.match_info["id"])
    if entry is None:
        return _problem(404, "no such entry")
    try:
        body = await request.json()
    except ValueError:
        return _problem(400, "the body is not JSON")
    consent = body.get("consent") if isinstance(body, dict) else None
    if not isinstance(consent, bool):
        return _problem(422, "consent must be true or false")
    if entry["channels"]["whatsapp"]["consent"] != consent:
        entry["channels"]["whatsapp"] = {"consent": consent, "changed_at": _text(datetime.now(UTC))}
    return web.json_response(entry)


def _problem(status: int, detail: str) -> web.Response:
    return web.json_response({"status": status, "detail": detail}, status=status)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    main()
