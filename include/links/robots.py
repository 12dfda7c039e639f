"""Whether a link was fetched by a person or by a machine on its way: previews, scanners, prefetching browsers."""

from __future__ import annotations

import re
from collections.abc import Iterable

# WhatsApp and Meta fetch a page to show a preview (user agents `WhatsApp/2…` and `facebookexternalhit`, documented at
# developers.facebook.com/docs/sharing/webmasters/crawler); a person's tap opens a browser, whose agent names itself so.
_MACHINE = re.compile(
    rb"whatsapp/|facebookexternalhit|facebookcatalog|meta-external|bot\b|bot/|crawl|spider|slurp|preview|scan|monitor|"
    rb"headless|lighthouse|embedly|skypeuripreview|snippet|vkshare|validator|curl/|wget/|python|aiohttp|httpx|okhttp|"
    rb"java/|go-http-client|libwww|ruby|perl|php/|node-fetch|axios|postman|safelinks|proofpoint|mimecast|barracuda",
    re.IGNORECASE,
)
_AHEAD = re.compile(rb"prefetch|prerender|preview", re.IGNORECASE)
_PURPOSES = frozenset({b"purpose", b"sec-purpose", b"x-purpose", b"x-moz"})


def is_robot(method: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """By method (HEAD opens nothing), announced purpose and user agent; without any agent it is no browser."""
    if method != "GET":
        return True
    agent = b""
    for name, value in headers:
        key = name.lower()
        if key == b"user-agent":
            agent = value[:1000]
        elif key in _PURPOSES and _AHEAD.search(value[:100]):
            return True
    return not agent.strip() or _MACHINE.search(agent) is not None
