"""Templates, and how figures look on a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from include.reports.figures import reason_label

HERE = Path(__file__).parent


def render(
    request: Request,
    template: str,
    values: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """A template as an answer. Links start with `root`, wherever the app is mounted."""
    root = request.scope.get("root_path", "").rstrip("/")
    html = TEMPLATES.get_template(template).render(root=root, **values)
    return HTMLResponse(html, status_code=status, headers=dict(headers or {}))


def number(value: int | None) -> str:
    """1234567 → 1,234,567; nothing known → –."""
    return "–" if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """0.1234 → 12.3 %; nothing to divide by → –."""
    return "–" if value is None else f"{value:.1%}".replace("%", " %")


def share(part: int | None, whole: int | None) -> float | None:
    """part / whole, or None."""
    return part / whole if part is not None and whole else None


def seconds(value: float) -> str:
    """A duration in the unit that fits: 0.4 s, 12.0 min, 3.5 h, 2.1 d."""
    for limit, unit, size in ((60, "s", 1), (3600, "min", 60), (86400, "h", 3600)):
        if value < limit:
            return f"{value / size:.1f} {unit}"
    return f"{value / 86400:.1f} d"


def money(value: Decimal | None, currency: str | None) -> str:
    """12.5, EUR → 12.50 EUR."""
    return "–" if value is None else f"{value:,.2f} {currency or ''}".strip()


def moment(value: datetime | None) -> Markup:
    """A <time> in UTC, which pages.js writes in the reader's own zone."""
    if value is None:
        return Markup("–")
    utc = value.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), f"{utc:%Y-%m-%d %H:%M} UTC"
    )


def data(value: Any) -> Markup:
    """JSON for a <script type="application/json">: no character that could end the element."""
    text = json.dumps(value, separators=(",", ":"), default=str)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


def query(**values: Any) -> str:
    """`?name=value&…` of the values that are not None, or nothing."""
    known = {name: value for name, value in values.items() if value is not None}
    return "?" + urlencode(known) if known else ""


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "data": data,
        "moment": moment,
        "number": number,
        "percent": percent,
        "reason": reason_label,
        "seconds": seconds,
    }
    environment.globals |= {"money": money, "query": query, "share": share}
    return environment


TEMPLATES = _environment()
