"""Charts as Vega-Lite. Colours and fonts come from pages.js, which knows light from dark.

Altair writes each chart once in a process (20 ms each); a page adds its rows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from include.reports.figures import FIGURES
from include.reports.funnel import Funnel
from include.reports.rollup import Row

STEPS = ("target", "planned", "accepted", "delivered", "read", "replied")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
COUNTRY_PARTS = ("Read", "Delivered", "Failed", "Awaiting")
TOP_COUNTRIES = 12


def campaign_charts(funnel: Funnel) -> dict[str, dict[str, Any]]:
    """Chart id → Vega-Lite with its rows, for the charts that have something to show."""
    charts = {"waterfall": _filled(waterfall, _steps(funnel))}
    if len(funnel.countries) > 1:
        bars = min(len(funnel.countries), TOP_COUNTRIES)
        charts["countries"] = _filled(countries, _countries(funnel.countries)) | {"height": 24 * bars}
    hours = [row for row in funnel.hours if row["accepted"] or row["delivered"] or row["read"]]
    if any(row["delivered"] or row["read"] for row in hours):
        charts["hours"] = _filled(over_time, _sums(hours))
        charts["heat"] = _filled(reads_by_weekday, _weekdays(hours))
    return charts


def reputation_chart(rows: list[Row]) -> dict[str, Any]:
    """Vega-Lite of the rows of `reputation.day_rows`."""
    return _filled(shares_by_day, rows)


@cache
def shares_by_day() -> dict[str, Any]:
    """Shares of failures, Meta's limits and opt-outs by day of acceptance."""
    import altair as alt

    chart = (
        _chart()
        .mark_line(point=True, strokeWidth=2)
        .encode(
            x=alt.X("day:T", title=None, axis=alt.Axis(format="%d %b", tickCount=8)),
            y=alt.Y("share:Q", title="Share of the day's messages", axis=alt.Axis(format="%", tickCount=5)),
            color=_parts(("Failed", "Limited", "Opted out"), ("bad", "accent", "muted")),
            tooltip=[
                alt.Tooltip("day:T", title="Day", format="%d %b %Y"),
                alt.Tooltip("part:N", title="What"),
                alt.Tooltip("share:Q", title="Share", format=".2%"),
                _people(),
            ],
        )
    )
    return _spec(chart, height=220)


@cache
def waterfall() -> dict[str, Any]:
    """Target → … → Replied: what is left at each step, and what was lost on the way to it."""
    import altair as alt

    base = _chart().encode(
        x=alt.X(
            "step:N", sort=[FIGURES[name].label for name in STEPS], title=None, axis=alt.Axis(labelAngle=0)
        )
    )
    bars = base.mark_bar(cornerRadius=2).encode(
        y=alt.Y("from:Q", title="People", axis=_ticks()),
        y2="to:Q",
        color=alt.Color(
            "part:N",
            scale=alt.Scale(domain=["People", "Not this far"], range=["accent", "muted"]),
            legend=None,
        ),
        tooltip=[alt.Tooltip("step:N", title="Step"), alt.Tooltip("part:N", title="What"), _people()],
    )
    labels = (
        base.transform_filter("datum.part == 'People'")
        .mark_text(dy=-7, fontWeight=600)
        .encode(y="to:Q", text=alt.Text("people:Q", format=","))
    )
    return _spec(bars + labels, height=300)


@cache
def countries() -> dict[str, Any]:
    """Accepted people of the largest countries: read, delivered, failed, no status yet."""
    import altair as alt

    chart = (
        _chart()
        .mark_bar(cornerRadius=2)
        .encode(
            x=alt.X("people:Q", title="Accepted", axis=_ticks()),
            y=alt.Y(
                "country:N", sort=alt.EncodingSortField("position", op="min", order="ascending"), title=None
            ),
            color=_parts(COUNTRY_PARTS, ("good", "accent", "bad", "muted")),
            order="rank:Q",
            tooltip=[
                alt.Tooltip("country:N", title="Country"),
                alt.Tooltip("part:N", title="What"),
                _people(),
            ],
        )
    )
    return _spec(chart, height=24)


@cache
def over_time() -> dict[str, Any]:
    """Accepted, delivered and read, added up over the hours."""
    import altair as alt

    chart = (
        _chart()
        .mark_line(interpolate="monotone", strokeWidth=2)
        .encode(
            x=alt.X("hour:T", title=None),
            y=alt.Y("people:Q", title="People so far", axis=_ticks()),
            color=_parts(("Accepted", "Delivered", "Read"), ("muted", "accent", "good")),
            tooltip=[
                alt.Tooltip("hour:T", title="Until", format="%d %b %H:%M"),
                alt.Tooltip("part:N", title="What"),
                _people(),
            ],
        )
    )
    return _spec(chart, height=220)


@cache
def reads_by_weekday() -> dict[str, Any]:
    """A heat map of reads by weekday and hour (UTC)."""
    import altair as alt

    hours, days = alt.Scale(domain=list(range(24))), alt.Scale(domain=list(WEEKDAYS))
    chart = (
        _chart()
        .mark_rect(cornerRadius=2)
        .encode(
            x=alt.X("hour:O", title="Hour (UTC)", scale=hours, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("day:O", sort=list(WEEKDAYS), scale=days, title=None),
            color=alt.Color("people:Q", scale=alt.Scale(range=["muted", "good"]), legend=None),
            tooltip=[
                alt.Tooltip("day:O", title="Day"),
                alt.Tooltip("hour:O", title="Hour"),
                alt.Tooltip("people:Q", title="Reads", format=","),
            ],
        )
    )
    return _spec(chart, height=190)


def _steps(funnel: Funnel) -> list[Row]:
    rows: list[Row] = []
    before = funnel.target
    for name in STEPS:
        people, step = getattr(funnel, name), FIGURES[name].label
        rows.append({"step": step, "part": "People", "from": 0, "to": people, "people": people})
        if before > people:
            lost = {"from": people, "to": before, "people": before - people}
            rows.append({"step": step, "part": "Not this far", **lost})
        before = people
    return rows


def _countries(found: tuple[Row, ...]) -> list[Row]:
    rows: list[Row] = []
    for position, row in enumerate(found[:TOP_COUNTRIES]):
        delivered = row["delivered"] - row["read"]
        awaiting = row["accepted"] - row["delivered"] - row["failed"]
        parts = zip(COUNTRY_PARTS, (row["read"], delivered, row["failed"], awaiting), strict=True)
        rows += [
            {"country": row["country"], "position": position, "rank": rank, "part": part, "people": people}
            for rank, (part, people) in enumerate(parts)
        ]
    return rows


def _sums(hours: list[Row]) -> list[Row]:
    names = ("accepted", "delivered", "read")
    sums = dict.fromkeys(names, 0)
    rows = [{"hour": _iso(hours[0]["hour"]), "part": name.capitalize(), "people": 0} for name in names]
    for row in hours:
        until = _iso(row["hour"] + timedelta(hours=1))
        for name in names:
            sums[name] += row[name]
            rows.append({"hour": until, "part": name.capitalize(), "people": sums[name]})
    return rows


def _weekdays(hours: list[Row]) -> list[Row]:
    reads: dict[tuple[str, int], int] = {}
    for row in hours:
        if row["read"]:
            utc = row["hour"].astimezone(UTC)
            cell = (WEEKDAYS[utc.weekday()], utc.hour)
            reads[cell] = reads.get(cell, 0) + row["read"]
    return [{"day": day, "hour": hour, "people": people} for (day, hour), people in reads.items()]


def _chart() -> Any:
    import altair as alt

    return alt.Chart({"name": "rows"})


def _filled(chart: Callable[[], dict[str, Any]], rows: list[Row]) -> dict[str, Any]:
    return {**chart(), "datasets": {"rows": rows}}


def _parts(domain: tuple[str, ...], colours: tuple[str, ...]) -> Any:
    import altair as alt

    return alt.Color(
        "part:N",
        scale=alt.Scale(domain=list(domain), range=list(colours)),
        legend=alt.Legend(title=None, orient="top"),
    )


def _ticks() -> Any:
    import altair as alt

    return alt.Axis(format="~s", tickCount=5, tickMinStep=1)


def _people() -> Any:
    import altair as alt

    return alt.Tooltip("people:Q", title="People", format=",")


def _spec(chart: Any, *, height: int) -> dict[str, Any]:
    spec: dict[str, Any] = chart.properties(width="container", height=height).to_dict(validate=False)
    spec.pop("config", None)
    return spec


def _iso(value: datetime) -> str:
    return value.astimezone(UTC).isoformat()
