"""Pages of what comes back: the message log's books, the replies, the sender's reputation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from fastapi import APIRouter, Request, Response

from include.message_log import difference_csv
from include.pages.charts import reputation_chart
from include.pages.rendering import render
from include.pages.store import NO_TIMEOUT, download, may_read, readable_entities, reading
from include.reports.reputation import day_rows, reputation
from include.reports.returns import log_books, replies

router = APIRouter()
SPAN = timedelta(days=31)
REPUTATION_SPAN = timedelta(days=90)


@router.get("/log")
def message_log(request: Request) -> Response:
    """Every entity that the reader may see: each day of ours against CM.com's log, and what fits no message."""
    since = datetime.now(UTC) - SPAN
    with reading(request) as conn:
        names = readable_entities(request, conn)
        entities = [{"name": name, **log_books(conn, name, since=since)} for name in names]
    return render(request, "log.html", {"tab": "log", "entities": entities, "days": SPAN.days})


@router.get("/log/{entity}/{day}.csv")
def differences(request: Request, entity: str, day: date) -> Response:
    """One day's differences, a message each."""
    may_read(request, entity)
    with reading(request):
        pass  # a database that is down is an answer of its own, not a file that ends early

    def rows() -> Iterator[bytes]:
        with reading(request, timeout=NO_TIMEOUT) as conn:
            yield from difference_csv(conn, entity, day)

    return download(rows(), f"differences-{entity}-{day}.csv")


@router.get("/replies")
def reply_list(request: Request) -> Response:
    """Replies by day and kind, and where they were sent on to."""
    since = datetime.now(UTC) - SPAN
    with reading(request) as conn:
        names = readable_entities(request, conn)
        entities = [{"name": name, **replies(conn, name, since=since)} for name in names]
    return render(request, "replies.html", {"tab": "replies", "entities": entities, "days": SPAN.days})


@router.get("/reputation")
def reputations(request: Request) -> Response:
    """How the senders stand, day by day."""
    since = (datetime.now(UTC) - REPUTATION_SPAN).date()
    with reading(request) as conn:
        names = readable_entities(request, conn)
        entities = [{"name": name, **reputation(conn, name, since=since)} for name in names]
    charts = {
        f"reputation-{entity['name']}": reputation_chart(day_rows(entity["days"]))
        for entity in entities
        if entity["days"]
    }
    values = {"tab": "reputation", "entities": entities, "charts": charts, "days": REPUTATION_SPAN.days}
    return render(request, "reputation.html", values)
