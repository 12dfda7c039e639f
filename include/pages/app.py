"""The report pages: a FastAPI app that reads the store, shows it, and stops what must stop. Knows nothing of Airflow.

Whoever mounts it says how a reader is recognised and what they may read.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response

from include.pages import actions, campaigns, optins, returns
from include.pages.access import Access, GoesOn, NotThere, by_hand
from include.pages.assets import asset
from include.pages.security import protect


def build_pages(
    *,
    dsn: Callable[[], str],
    access: Callable[..., Access],
    form_key: Callable[[], bytes],
    go_on: Callable[[str], GoesOn] = by_hand,
    dependencies: Sequence[Any] = (),
) -> FastAPI:
    """The app. `dsn` finds the database; `access` is a FastAPI dependency that tells what the reader may read.

    `form_key` is a secret that every process of the host has; it seals the forms. `go_on(run_key)` gets the run of a
    resumed campaign going again. `dependencies` (FastAPI's `Depends(…)`) run before everything, static files included.
    There is no schema page, and no method but GET except for the four things a person may do with a campaign.
    """

    def recognise(request: Request, found: Annotated[Access, Depends(access)]) -> None:
        request.state.access = found
        request.state.dsn = dsn
        request.state.form_key = form_key
        request.state.go_on = go_on

    app = FastAPI(
        title="WhatsApp campaigns",
        dependencies=[*dependencies, Depends(recognise)],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    protect(app)
    app.include_router(campaigns.router)
    app.include_router(actions.router)
    app.include_router(optins.router)
    app.include_router(returns.router)
    app.add_api_route("/static/{name}", _static, methods=["GET"])
    return app


def _static(request: Request, name: str) -> Response:
    found = asset(request, name)
    if found is None:
        raise NotThere
    return found
