"""JSON over HTTP to the servers of this machine, each request with a timeout."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

TIMEOUT = 30.0  # seconds, for each request
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach 127.0.0.1


class HttpRefused(RuntimeError):
    """The server refused a request; ``status`` is its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class HttpUnreachable(RuntimeError):
    """The server did not answer; the same request may work later."""


def request_json(url: str, method: str, body: Mapping[str, Any] | None = None, *, token: str = "") -> Any:
    """The answer as parsed JSON, None when it is empty. Raises HttpRefused, HttpUnreachable."""
    request = urllib.request.Request(url, method=method)  # noqa: S310 - our own http address
    request.add_header("Accept", "application/json")
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    where = f"{method} {urllib.parse.urlsplit(url).path}"
    try:
        with _DIRECT.open(request, timeout=TIMEOUT) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")[:500]
        raise HttpRefused(f"{where} was answered with {error.code}: {said}", error.code) from None
    except OSError as error:
        raise HttpUnreachable(f"{where} was not answered: {error}") from None
    return json.loads(content) if content else None
