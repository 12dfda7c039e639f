"""Where a tracked button leads: the target of the template's file, with the campaign's UTM parameters."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from include.entities.models import LinkSettings


def with_utm(target: str, settings: LinkSettings, *, campaign: str, content: str) -> str:
    """The target with `utm_source`, `utm_medium`, `utm_campaign` and `utm_content`; those it has stay as they are."""
    wanted = {
        "utm_source": settings.utm_source,
        "utm_medium": settings.utm_medium,
        "utm_campaign": campaign if settings.utm_source else None,
        "utm_content": content if settings.utm_source else None,
    }
    parts = urlsplit(target)
    present = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    added = urlencode(
        {name: value for name, value in wanted.items() if value and name not in present}, quote_via=quote
    )
    return urlunsplit(parts._replace(query="&".join(part for part in (parts.query, added) if part)))
