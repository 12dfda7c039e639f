"""Pages of campaigns: all of them, one, the people behind a figure, one person, and the export."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.background import BackgroundTask

from include.campaigns.states import history
from include.message_log.codes import explain
from include.pages.access import NotThere
from include.pages.actions import NOTICES, possible
from include.pages.assets import warm_up
from include.pages.charts import campaign_charts
from include.pages.rendering import render
from include.pages.store import (
    NO_TIMEOUT,
    download,
    may_change,
    may_see_numbers,
    open_campaign,
    readable_entities,
    reading,
)
from include.phone import mask
from include.reports import Filters, campaigns, csv_chunks, funnel, recipient, recipients
from include.reports.failures import explain_all
from include.reports.figures import FIGURES, reason_label
from include.reports.rollup import Row

router = APIRouter()
Text = Annotated[str | None, Query(max_length=120)]
# PostgreSQL's bigint; a greater number is no id of anything here.
Id = Annotated[int, Query(ge=0, lt=2**63)]


def filters_of(
    figure: str = "target",
    reason: Text = None,
    error_source: Text = None,
    error_code: Annotated[int | None, Query(ge=0, lt=2**31)] = None,
    country: Text = None,
    language: Text = None,
    variant: Text = None,
    reference: Text = None,
) -> Filters:
    """The filters in an address; an empty field of the form means no filter."""
    if figure not in FIGURES:
        raise NotThere
    return Filters(
        figure=figure,
        reason=reason,
        error_source=error_source or None,
        error_code=error_code,
        country=country.upper() if country else None,
        language=language or None,
        variant=variant,
        reference=reference.strip() if reference else None,
    )


Chosen = Annotated[Filters, Depends(filters_of)]


@router.get("/")
def campaign_list(request: Request) -> Response:
    """The campaigns that the reader may see."""
    with reading(request) as conn:
        entities = readable_entities(request, conn)
        rows = campaigns(conn, entities)
    values = {"tab": "campaigns", "campaigns": rows, "entities": entities}
    page = render(request, "campaigns.html", values)
    page.background = BackgroundTask(warm_up)  # the first report that is opened finds its charts ready
    return page


@router.get("/campaigns/{campaign_id}")
def campaign(request: Request, campaign_id: int, notice: Text = None) -> Response:
    """One campaign's report, and what may be done with it."""
    with reading(request) as conn:
        header = open_campaign(request, conn, campaign_id)
        figures = funnel(conn, campaign_id)
        past = history(conn, campaign_id)
    may = may_change(request, header["entity"])
    values = {
        "tab": "campaigns",
        "header": header,
        "history": past,
        "actions": possible(header, figures.uncertain) if may else {},
        "notice": NOTICES.get(notice or ""),
        "funnel": figures,
        "figures": FIGURES,
        "partial": figures.is_partial(datetime.now(UTC)),
        "failures": explain_all(figures.reasons),
        "charts": campaign_charts(figures) if figures.target else {},
    }
    return render(request, "campaign.html", values)


@router.get("/campaigns/{campaign_id}/people")
def people(request: Request, campaign_id: int, filters: Chosen, after: Id = 0) -> Response:
    """The people behind a figure, with their numbers masked."""
    with reading(request) as conn:
        header = open_campaign(request, conn, campaign_id)
        rows, following = recipients(conn, campaign_id, filters, after=after)
    values = {
        "tab": "campaigns",
        "header": header,
        "figures": FIGURES,
        "filters": filters,
        "people": [{**row, "phone": _masked(row["phone"]), "why": _why(row)} for row in rows],
        "after": after,
        "following": following,
    }
    return render(request, "people.html", values)


@router.get("/campaigns/{campaign_id}/people.csv")
def people_csv(request: Request, campaign_id: int, filters: Chosen) -> Response:
    """The same as a file, without an end of page. Full numbers only for those who may change the campaign."""
    # Asked before the first byte: a refusal is an answer of its own, not a file that ends early.
    with reading(request) as conn:
        header = open_campaign(request, conn, campaign_id)
    phones = may_see_numbers(request, header["entity"])

    def rows() -> Iterator[bytes]:
        with reading(request, timeout=NO_TIMEOUT) as conn:
            yield from csv_chunks(conn, campaign_id, filters, phones=phones)

    return download(rows(), f"campaign-{campaign_id}-{filters.figure}.csv")


@router.get("/campaigns/{campaign_id}/people/{subscription_id}")
def person(request: Request, campaign_id: int, subscription_id: int) -> Response:
    """One person in one campaign: the message, the consent behind it, what came back."""
    with reading(request) as conn:
        header = open_campaign(request, conn, campaign_id)
        found = recipient(conn, campaign_id, subscription_id)
    if found is None:
        raise NotThere
    row = {**found["row"], "phone": _masked(found["row"]["phone"]), "why": _why(found["row"])}
    return render(request, "person.html", {"tab": "campaigns", "header": header, **found, "row": row})


def _why(row: Row) -> str:
    """Why somebody was not reached, in words; nothing where there is nothing to say."""
    if row["state"] in ("rejected", "failed"):
        return f"{explain(row['error_code'], row['error_source']).meaning} ({row['error_code'] or 'no code'})"
    return reason_label(row["reason"]) if row["reason"] else ""


def _masked(phone: str | None) -> str:
    return mask(phone) if phone else "–"
