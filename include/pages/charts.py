"""Charts as Vega-Lite, written with Altair. Colours and fonts come from pages.js, which knows light from dark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from include.reports.figures import FIGURES
from include.reports.funnel import Funnel

STEPS = ("target", "planned", "accepted", "delivered", "read", "replied")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
TOP_COUNTRIES = 12


def campaign_charts(funnel: Funnel) -> dict[str, dict[str, Any]]:
    """Chart id → Vega-Lite, for the charts that have something to show."""
    charts = {"waterfall": waterfall(funnel)}
    if len(funnel.countries) > 1:
        charts["countries"] = countries(funnel)
    if any(row["delivered"] or row["read"] for row in funnel.hours):
        charts["hours"] = over_time(funnel)
        charts["heat"] = reads_by_weekday(funnel)
    return charts


def waterfall(funnel: Funnel) -> dict[str, Any]:
    """Target → … → Replied: what is left at each step, and what was lost on the way to it."""
    import altair as alt

    rows: list[dict[str, Any]] = []
    before = funnel.target
    for name in STEPS:
        people = getattr(funnel, name)
        label = FIGURES[name].label
        rows.append({"step": label, "part": "People", "from": 0, "to": people, "people": people})
        if before > people:
            rows.append(
                {
                    "step": label,
                    "part": "Not this far",
                    "from": people,
                    "to": before,
                    "people": before - people,
                }
            )
        before = people
    base = _chart(rows).encode(
        x=alt.X(
            "step:N", sort=[FIGURES[name].label for name in STEPS], title=None, axis=alt.Axis(labelAngle=0)
        ),
    )
    bars = base.mark_bar(cornerRadius=2).encode(
        y=alt.Y("from:Q", title="People", axis=alt.Axis(format="~s", tickCount=5)),
        y2="to:Q",
        color=alt.Color(
            "part:N",
            scale=alt.Scale(domain=["People", "Not this far"], range=["accent", "muted"]),
            legend=None,
        ),
        tooltip=[alt.Tooltip("step:N", title="Step"), alt.Tooltip("part:N", title="What"), _count("people")],
    )
    labels = (
        base.transform_filter("datum.part == 'People'")
        .mark_text(dy=-7, fontWeight=600)
        .encode(y="to:Q", text=alt.Text("people:Q", format=","))
    )
    return _spec(bars + labels, height=300)


def countries(funnel: Funnel) -> dict[str, Any]:
    """Accepted people of the largest countries: read, delivered, failed, no status yet."""
    import altair as alt

    rows = []
    for row in funnel.countries[:TOP_COUNTRIES]:
        parts = {
            "Read": row["read"],
            "Delivered": row["delivered"] - row["read"],
            "Failed": row["failed"],
            "Awaiting": row["accepted"] - row["delivered"] - row["failed"],
        }
        rows += [{"country": row["country"], "part": name, "people": count} for name, count in parts.items()]
    order = list(dict.fromkeys(row["country"] for row in rows))
    chart = (
        _chart(rows)
        .mark_bar(cornerRadius=2)
        .transform_calculate(rank="indexof(['Read', 'Delivered', 'Failed', 'Awaiting'], datum.part)")
        .encode(
            x=alt.X("people:Q", title="Accepted", axis=alt.Axis(format="~s", tickCount=5)),
            y=alt.Y("country:N", sort=order, title=None),
            color=_parts(["Read", "Delivered", "Failed", "Awaiting"], ["good", "accent", "bad", "muted"]),
            order="rank:Q",
            tooltip=[
                alt.Tooltip("country:N", title="Country"),
                alt.Tooltip("part:N", title="What"),
                _count("people"),
            ],
        )
    )
    return _spec(chart, height=max(120, 24 * len(order)))


def over_time(funnel: Funnel) -> dict[str, Any]:
    """Accepted, delivered and read, added up over the hours."""
    import altair as alt

    rows: list[dict[str, Any]] = []
    names = ("accepted", "delivered", "read")
    sums = dict.fromkeys(names, 0)
    hours = [row for row in funnel.hours if any(row[name] for name in names)]
    start = hours[0]["hour"]
    rows += [{"hour": _iso(start), "part": name.capitalize(), "people": 0} for name in names]
    for row in hours:
        for name in names:
            sums[name] += row[name]
            rows.append(
                {
                    "hour": _iso(row["hour"] + timedelta(hours=1)),
                    "part": name.capitalize(),
                    "people": sums[name],
                }
            )
    chart = (
        _chart(rows)
        .mark_line(interpolate="monotone", strokeWidth=2, point=len(hours) < 12)
        .encode(
            x=alt.X("hour:T", title=None),
            y=alt.Y("people:Q", title="People so far", axis=alt.Axis(format="~s", tickCount=5)),
            color=_parts(["Accepted", "Delivered", "Read"], ["muted", "accent", "good"]),
            tooltip=[
                alt.Tooltip("hour:T", title="Until", format="%d %b %H:%M"),
                alt.Tooltip("part:N", title="What"),
                _count("people"),
            ],
        )
    )
    return _spec(chart, height=220)


def reads_by_weekday(funnel: Funnel) -> dict[str, Any]:
    """A heat map of reads by weekday and hour (UTC)."""
    import altair as alt

    reads: dict[tuple[str, int], int] = {}
    for row in funnel.hours:
        if row["read"]:
            utc = row["hour"].astimezone(UTC)
            cell = (WEEKDAYS[utc.weekday()], utc.hour)
            reads[cell] = reads.get(cell, 0) + row["read"]
    rows = [{"day": day, "hour": hour, "people": people} for (day, hour), people in reads.items()]
    chart = (
        _chart(rows)
        .mark_rect(cornerRadius=2)
        .encode(
            x=alt.X(
                "hour:O",
                title="Hour (UTC)",
                scale=alt.Scale(domain=list(range(24))),
                axis=alt.Axis(labelAngle=0),
            ),
            y=alt.Y("day:O", sort=list(WEEKDAYS), scale=alt.Scale(domain=list(WEEKDAYS)), title=None),
            color=alt.Color("people:Q", title="Reads", scale=alt.Scale(range=["muted", "good"]), legend=None),
            tooltip=[
                alt.Tooltip("day:O", title="Day"),
                alt.Tooltip("hour:O", title="Hour"),
                alt.Tooltip("people:Q", title="Reads", format=","),
            ],
        )
    )
    return _spec(chart, height=190)


def _chart(rows: list[dict[str, Any]]) -> Any:
    import altair as alt

    return alt.Chart({"values": rows})


def _parts(domain: list[str], colours: list[str]) -> Any:
    import altair as alt

    return alt.Color(
        "part:N",
        scale=alt.Scale(domain=domain, range=colours),
        legend=alt.Legend(title=None, orient="top"),
    )


def _count(field: str) -> Any:
    import altair as alt

    return alt.Tooltip(f"{field}:Q", title="People", format=",")


def _spec(chart: Any, *, height: int) -> dict[str, Any]:
    spec: dict[str, Any] = chart.properties(width="container", height=height).to_dict(validate=False)
    spec.pop("config", None)
    return spec


def _iso(value: datetime) -> str:
    return value.astimezone(UTC).isoformat()
