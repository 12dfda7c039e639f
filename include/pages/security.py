"""Headers of every answer, and one clear sentence instead of a traceback."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

from include.database import DatabaseUnavailable, SchemaOutOfDate
from include.pages.access import Forbidden, NotThere, StaleForm
from include.pages.rendering import render
from include.reports import CampaignUnknown

logger = logging.getLogger(__name__)

# No inline script or style anywhere: data for charts is in <script type="application/json">, which does not run.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}

SENTENCES: dict[int, tuple[str, str]] = {
    401: ("Please log in", "This page needs a login to Airflow. Log in there, then open it again."),
    403: ("Not yours to see", "You may not read this. Ask whoever manages your Airflow roles."),
    404: ("Not found", "There is nothing here. It may have been removed, or the address is mistyped."),
    405: ("Not possible", "This page only shows; it changes nothing."),
    409: (
        "Please try again",
        "This form is too old or was not made for you. Nothing was changed: open the campaign again, then repeat it.",
    ),
    422: ("Not understood", "The address has a value that this page does not know."),
}
DATABASE_DOWN = (
    "The WhatsApp database cannot be reached or took too long. Nothing was changed; try again in a minute, "
    "and tell an engineer if it stays so."
)


def protect(app: FastAPI) -> None:
    """Put the headers on every answer of the app and turn its errors into pages."""

    @app.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, lambda request, _: _page(request, 422))
    # A value that PostgreSQL cannot hold, such as a NUL in a text.
    app.add_exception_handler(psycopg.DataError, lambda request, _: _page(request, 422))
    app.add_exception_handler(Forbidden, lambda request, _: _page(request, 403))
    app.add_exception_handler(StaleForm, lambda request, _: _page(request, 409))
    app.add_exception_handler(NotThere, lambda request, _: _page(request, 404))
    app.add_exception_handler(CampaignUnknown, lambda request, _: _page(request, 404))
    app.add_exception_handler(SchemaOutOfDate, _schema)
    app.add_exception_handler(DatabaseUnavailable, _database)
    app.add_exception_handler(psycopg.OperationalError, _database)


def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, StarletteHTTPException) else 500
    return _page(request, status, headers=getattr(error, "headers", None))


def _schema(request: Request, error: Exception) -> Response:
    logger.error("%s", error)
    return _page(request, 503, ("Not up to date", str(error)), headers={"Retry-After": "60"})


def _database(request: Request, error: Exception) -> Response:
    # The class only: a driver's message can hold values of a statement.
    logger.error("A report page could not read the database: %s", type(error).__name__)
    return _page(request, 503, ("No answer", DATABASE_DOWN), headers={"Retry-After": "30"})


def _page(
    request: Request, status: int, sentence: tuple[str, str] | None = None, headers: Any = None
) -> Response:
    title, text = sentence or SENTENCES.get(
        status, ("Something went wrong", "An engineer finds the cause in the log.")
    )
    return render(request, "error.html", {"title": title, "text": text}, status=status, headers=headers)
