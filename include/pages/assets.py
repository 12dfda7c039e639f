"""Style sheet, script, icon and the chart library: served from here, never from a CDN."""

from __future__ import annotations

import hashlib
import importlib
from functools import cache
from pathlib import Path
from threading import Lock

from fastapi import Request, Response

STATIC = Path(__file__).with_name("static")
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
BUNDLE = "vega.js"
_BUNDLING = Lock()


def asset(request: Request, name: str) -> Response | None:
    """One file, revalidated by its hash; None when there is no such file."""
    content = _bundle() if name == BUNDLE else _files().get(name)
    if content is None:
        return None
    headers = {"Cache-Control": "private, max-age=3600", "ETag": f'"{_hash(content)}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=TYPES[Path(name).suffix])


@cache
def _files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in TYPES}


def warm_up() -> None:
    """Load what charts need: seconds once in a process, nothing afterwards."""
    importlib.import_module("altair")
    _bundle()


def _bundle() -> bytes:
    with _BUNDLING:
        return _make_bundle()


@cache
def _make_bundle() -> bytes:
    """Vega, Vega-Lite and vega-embed in the versions that the installed Altair writes for.

    vl-convert makes the bundle offline: 0.9 MB, 2.4 s and 64 MB once per process, outside the interpreter's lock.
    """
    import vl_convert

    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg] # its stub forgets the default
    return bundle.encode()


@cache
def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
