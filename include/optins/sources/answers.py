"""One whole answer of an HTTP source, and no more than that: no page without end, no way to another host."""

from __future__ import annotations

import time

import httpx

from include.entities import Source
from include.optins.sources.errors import SourceShapeChanged

MOST_BYTES = 256 << 20  # of one answer, unpacked
LONGEST_ANSWER = 600.0  # seconds; each read has a timeout of its own, which a byte a minute keeps
MOST_HOPS = 5


def received(source: Source, client: httpx.Client, request: httpx.Request) -> httpx.Response:
    """The whole answer, after redirects within the same host: our credentials go with every request.

    Raises SourceShapeChanged for what is no honest answer, httpx.TransportError for what may pass.
    """
    for _ in range(MOST_HOPS):
        response = client.send(request, stream=True)
        try:
            content = _content(source, response)
        finally:
            response.close()
        kept = {
            name: response.headers[name]
            for name in ("Content-Type", "Retry-After")
            if name in response.headers
        }
        whole = httpx.Response(response.status_code, headers=kept, content=content, request=request)
        if not response.has_redirect_location or request.method != "GET":
            return whole
        target = request.url.join(response.headers["Location"])
        if (target.scheme, target.host, target.port) != (
            request.url.scheme,
            request.url.host,
            request.url.port,
        ):
            raise SourceShapeChanged(
                f"Source {source.name!r} sends us to another host; not followed. Correct the connection "
                f"{source.connection!r} if it has moved."
            )
        request = client.build_request("GET", target)
    raise SourceShapeChanged(f"Source {source.name!r} sends us on again and again ({MOST_HOPS} times).")


def _content(source: Source, response: httpx.Response) -> bytes:
    content, began = bytearray(), time.monotonic()
    for part in response.iter_bytes():
        content += part
        if len(content) > MOST_BYTES:
            raise SourceShapeChanged(
                f"Source {source.name!r}: an answer is larger than {MOST_BYTES >> 20} MB. Ask for pages "
                f"(options.paging in sources/{source.name}.yaml)."
            )
        if time.monotonic() - began > LONGEST_ANSWER:
            raise httpx.ReadTimeout("one answer takes too long", request=response.request)
    return bytes(content)
