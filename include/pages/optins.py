"""Pages of the opt-ins: what the syncs did, and the records they did not take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter, Query, Request, Response

from include.pages.rendering import render
from include.pages.store import NO_TIMEOUT, download, may_read, readable_entities, reading
from include.reports.optins import differences_csv, optins, rejects, rejects_csv, untold_csv

router = APIRouter(prefix="/optins")
REJECTS_OF = timedelta(days=90)
LATE = timedelta(hours=1)  # four cycles of propagate_optouts
Name = Annotated[str, Query(max_length=60)]


@router.get("")
def optin_list(request: Request) -> Response:
    """Every entity that the reader may see: people by status, rejected records, syncs."""
    now = datetime.now(UTC)
    with reading(request) as conn:
        names = readable_entities(request, conn)
        entities = [{"name": name, **optins(conn, name, since=now - REJECTS_OF, now=now)} for name in names]
    values = {"tab": "optins", "entities": entities, "days": REJECTS_OF.days, "late": now - LATE}
    return render(request, "optins.html", values)


@router.get("/{entity}/rejects")
def reject_list(
    request: Request,
    entity: str,
    source: Name,
    reason: Name,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
) -> Response:
    """The records behind one reason."""
    may_read(request, entity)
    since = datetime.now(UTC) - REJECTS_OF
    with reading(request) as conn:
        rows, following = rejects(conn, entity, source=source, reason=reason, since=since, after=after)
    values = {
        "tab": "optins",
        "entity": entity,
        "source": source,
        "reason": reason,
        "records": rows,
        "after": after,
        "following": following,
    }
    return render(request, "rejects.html", values)


@router.get("/{entity}/rejects.csv")
def reject_csv(request: Request, entity: str) -> Response:
    """All of them as a file."""
    since = datetime.now(UTC) - REJECTS_OF
    return _file(
        request, entity, lambda conn: rejects_csv(conn, entity, since=since), f"rejected-records-{entity}.csv"
    )


@router.get("/{entity}/optouts.csv")
def untold(request: Request, entity: str) -> Response:
    """The opt-outs that a source has not taken, for whoever tells it by hand."""
    return _file(request, entity, lambda conn: untold_csv(conn, entity), f"optouts-not-told-{entity}.csv")


@router.get("/{entity}/differences.csv")
def differences(request: Request, entity: str) -> Response:
    """The records of which a source says something else than we know."""
    return _file(request, entity, lambda conn: differences_csv(conn, entity), f"differences-{entity}.csv")


def _file(
    request: Request, entity: str, write: Callable[[psycopg.Connection[Any]], Iterator[bytes]], name: str
) -> Response:
    may_read(request, entity)
    with reading(request):
        pass  # a database that is down is an answer of its own, not a file that ends early

    def rows() -> Iterator[bytes]:
        with reading(request, timeout=NO_TIMEOUT) as conn:
            yield from write(conn)

    return download(rows(), name)
