"""What every page does with the database: read, for a short time, what the reader may see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from fastapi import Request
from fastapi.responses import StreamingResponse

from include.database import connect, require_current
from include.entities import entity_names
from include.pages.access import Access, Forbidden
from include.reports.rollup import campaign_header

# A page answers in milliseconds; whatever takes longer than this must not pile up on the database.
PAGE_TIMEOUT = "15s"
NO_TIMEOUT = "0"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


@contextmanager
def reading(request: Request, *, timeout: str = PAGE_TIMEOUT) -> Iterator[psycopg.Connection[Any]]:
    """A read-only transaction. Raises DatabaseUnavailable, SchemaOutOfDate."""
    with connect(request.state.dsn(), application="whatsapp pages") as conn:
        require_current(conn)
        conn.execute("set transaction read only")
        conn.execute("select set_config('statement_timeout', %s, true)", [timeout])
        yield conn


def may_read(request: Request, entity: str) -> None:
    """Raise Forbidden unless the reader may see the entity."""
    if not _access(request).may_read(entity):
        raise Forbidden


def may_see_numbers(request: Request, entity: str) -> bool:
    """Whether exports may hold the entity's phone numbers: for those who may change its campaigns."""
    return _access(request).may_edit(entity)


def may_change(request: Request, entity: str) -> bool:
    """Whether the reader may pause, resume and cancel the entity's campaigns: whoever may edit its campaign Dag."""
    return _access(request).may_edit(entity)


def readable_entities(request: Request, conn: psycopg.Connection[Any]) -> list[str]:
    """Entities with a folder, and those that only the store still knows, as far as the reader may see them."""
    stored = conn.execute("select distinct entity from campaign").fetchall()
    known = sorted({*entity_names(), *(row["entity"] for row in stored)})
    return [name for name in known if _access(request).may_read(name)]


def open_campaign(request: Request, conn: psycopg.Connection[Any], campaign_id: int) -> dict[str, Any]:
    """The campaign's own facts. Raises CampaignUnknown, Forbidden."""
    header = campaign_header(conn, campaign_id)
    may_read(request, header["entity"])
    return header


def download(rows: Iterator[bytes], name: str) -> StreamingResponse:
    """A CSV that is sent while it is made.

    `name` may come from the address: what a header cannot hold of it becomes `_`.
    """
    headers = {"Content-Disposition": f'attachment; filename="{_UNSAFE.sub("_", name)}"'}
    return StreamingResponse(rows, media_type="text/csv; charset=utf-8", headers=headers)


def _access(request: Request) -> Access:
    found: Access = request.state.access
    return found
