"""Forms that only these pages can have made, for this reader and for this purpose (against cross-site requests)."""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import parse_qs

from fastapi import Request

from include.pages.access import StaleForm

LIFETIME = 3600
MOST_BYTES = 4096


def seal(request: Request, purpose: str, *, now: float | None = None) -> str:
    """What a form carries: `<until>.<mac>` over the reader, the purpose and the time it is good for."""
    until = str(int((now or time.time()) + LIFETIME))
    return f"{until}.{_mac(request, purpose, until)}"


async def sealed_fields(request: Request, purpose: str, *, now: float | None = None) -> dict[str, str]:
    """The fields of a form that was posted. Raises StaleForm unless these pages made it for this reader and purpose."""
    # Browsers say where a request comes from (Fetch Metadata, all since 2023); older ones have the seal only.
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise StaleForm
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise StaleForm
    try:
        fields = {name: values[-1] for name, values in parse_qs(body.decode(), max_num_fields=20).items()}
    except ValueError:
        raise StaleForm from None
    until, _, mac = fields.get("seal", "").partition(".")
    good = hmac.compare_digest(mac.encode(), _mac(request, purpose, until).encode())
    if not good or not until.isdecimal() or int(until) < (now or time.time()):
        raise StaleForm
    return fields


def _mac(request: Request, purpose: str, until: str) -> str:
    said = f"form\0{request.state.access.reader}\0{purpose}\0{until}"
    return hmac.new(request.state.form_key(), said.encode(), hashlib.sha256).hexdigest()
