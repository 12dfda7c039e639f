"""Opt-ins behind a JSON API that answers in pages.

Options: `path`; `items` (dotted path of the list in the answer; the answer itself when left out); `since_parameter`;
`parameters` (sent with every request); `paging` and what it needs, see `paging`. Fields of an item are dotted paths.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx
import pandas as pd
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from include.entities import Source
from include.entities.models import OptOutBack
from include.optins.sources.answers import received
from include.optins.sources.errors import SourceRefused, SourceShapeChanged, SourceUnavailable
from include.optins.sources.frames import CHUNK, columns_read, frame, require_fields
from include.optins.sources.optouts import OptOut, Told
from include.optins.sources.paging import pager, path_value

logger = logging.getLogger(__name__)

SHOWS_PRESENT_STATE = True
ATTEMPTS = 6
LONGEST_WAIT = 120.0
MOST_PAGES = 100_000  # no honest listing has more


@dataclass(frozen=True, slots=True)
class HttpAccess:
    """Where a source's API is and how to be let in. `timeout` in seconds, for connecting and for each read."""

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)
    timeout: float = 30.0

    def client(self) -> httpx.Client:
        """A client of this API; close it."""
        auth = httpx.BasicAuth(*self.auth) if self.auth else None
        return httpx.Client(
            base_url=self.base_url, headers=dict(self.headers), auth=auth, timeout=self.timeout
        )


class TryAgain(SourceUnavailable):
    """An answer that says `not now`; `after` seconds if the source named a time. No `status`: there was no answer."""

    def __init__(self, message: str, after: float | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.after = after
        self.status = status


class Rejected(SourceShapeChanged):
    """An answer that says `not like this`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def fetch(source: Source, access: HttpAccess, since: datetime | None) -> Iterator[pd.DataFrame]:
    """The items changed at or after `since`, page after page.

    Waits as Retry-After says on 429 and 503; tries what fails on the way or with 5xx six times. Raises SourceProblem.
    """
    wanted = columns_read(source)
    rows: list[list[Any]] = []
    with access.client() as client:
        parameters = dict(source.options.get("parameters", {}))
        if since is not None and (name := source.options.get("since_parameter")):
            parameters[name] = since.astimezone(UTC).isoformat().replace("+00:00", "Z")
        for items in _pages(source, client, parameters):
            if items:
                present = [
                    name
                    for name in wanted
                    if any(path_value(item, name, KeyError) is not KeyError for item in items)
                ]
                require_fields(source, present, where=f"{source.options.get('path', '')!r}")
            rows += [[path_value(item, name) for name in wanted] for item in items]
            if len(rows) >= CHUNK:
                yield frame(rows, wanted)
                rows = []
    if rows:
        yield frame(rows, wanted)


def tell(source: Source, access: HttpAccess, optouts: Sequence[OptOut], now: datetime) -> list[Told]:  # noqa: ARG001
    """Requests of `optout.method` to `optout.path`: one for each opt-out, or for every `optout.batch` of them.

    `{record_id}` and `{occurred_at}` are filled in. A record that the API does not know or refuses is a problem of that
    record alone: a refused batch is told one by one.
    """
    way = source.optout
    if way is None or way.path is None:
        raise SourceShapeChanged(f"Source {source.name!r}: optout.path is missing in its YAML.")
    told: list[Told] = []
    with access.client() as client:
        for first in range(0, len(optouts), way.batch):
            several = optouts[first : first + way.batch]
            answer = _tell(source, client, way, several)
            if answer.problem and len(several) > 1:
                told += [_tell(source, client, way, [one]) for one in several]
            else:
                told += [answer] * len(several)
    return told


def _tell(source: Source, client: httpx.Client, way: OptOutBack, optouts: Sequence[OptOut]) -> Told:
    people = [
        {
            "record_id": optout.record_id,
            "occurred_at": optout.occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        }
        for optout in optouts
    ]
    url = (way.path or "").format(**{name: quote(value, safe="") for name, value in people[0].items()})
    body = {
        name: [_filled(value[0], person) for person in people]
        if way.batch > 1 and isinstance(value, list)
        else _filled(value, people[0])
        for name, value in way.body.items()
    }
    try:
        send(source, client, way.method, url, json=body)
    except Rejected as rejected:
        return Told(f"HTTP {rejected.status}", final=True)
    return Told()


def _filled(value: Any, person: Mapping[str, str]) -> Any:
    """A value of the body with its braces filled in, however deep they are."""
    if isinstance(value, str):
        return value.format(**person)
    if isinstance(value, Mapping):
        return {name: _filled(inner, person) for name, inner in value.items()}
    return [_filled(inner, person) for inner in value] if isinstance(value, list) else value


def send(source: Source, client: httpx.Client, method: str, url: str, **arguments: Any) -> httpx.Response:
    """One request, with retries for what may pass; returns a 2xx answer.

    Raises Rejected for a 4xx that no retry can change, else SourceProblem.
    """
    response: httpx.Response = _retrying(_send_once, source, client, method, url, **arguments)
    return response


def _pages(source: Source, client: httpx.Client, parameters: dict[str, Any]) -> Iterator[list[Any]]:
    pages = pager(source, client.base_url)
    request: tuple[str, dict[str, Any]] | None = pages.first(parameters)
    asked: set[str] = set()
    got: set[bytes] = set()
    while request is not None:
        url, query = request
        if (repeated := f"{url} {query}") in asked or len(asked) >= MOST_PAGES:
            raise _endless(source, len(asked))
        asked.add(repeated)
        answer = _retrying(_json, source, client, url, query)
        items = path_value(answer, source.options["items"]) if "items" in source.options else answer
        if not isinstance(items, list):
            where = source.options.get("items", "the answer")
            raise SourceShapeChanged(
                f"Source {source.name!r}: {where!r} is no list in the answer of {source.options.get('path')!r}. "
                f"Correct options.items in sources/{source.name}.yaml."
            )
        if items and (content := hashlib.sha256(repr(items).encode("utf-8", "replace")).digest()) in got:
            raise _endless(source, len(asked))
        elif items:
            got.add(content)
        yield items
        request = pages.following(answer, len(items))


def _endless(source: Source, pages: int) -> SourceShapeChanged:
    return SourceShapeChanged(
        f"Source {source.name!r}: the listing goes round in circles: after {pages} page(s) comes one that was there "
        f"already. Does the API know the paging that sources/{source.name}.yaml says? Nothing of this pull was kept."
    )


def _retrying(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call with retries for what may pass. Raises SourceProblem."""
    attempts = Retrying(
        retry=retry_if_exception_type(TryAgain), stop=stop_after_attempt(ATTEMPTS), wait=_wait, reraise=True
    )
    return attempts(function, *arguments, **named)


def _json(source: Source, client: httpx.Client, url: str, query: dict[str, Any]) -> Any:
    # httpx replaces a URL's own query when it is given parameters; a next link has everything it needs.
    response = _send_once(source, client, "GET", url, **({"params": query} if query else {}))
    try:
        return response.json()
    except (ValueError, RecursionError):
        # An HTML page with status 200 is how gateways say "under maintenance".
        raise TryAgain(f"Source {source.name!r} answered with something that is not JSON.") from None


def _send_once(
    source: Source, client: httpx.Client, method: str, url: str, **arguments: Any
) -> httpx.Response:
    try:
        response = received(source, client, client.build_request(method, url, **arguments))
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise TryAgain(f"Source {source.name!r} cannot be reached: {type(error).__name__}.") from None
    status = response.status_code
    if response.is_success:
        return response
    if status in (401, 403):
        raise SourceRefused(
            f"Source {source.name!r} refuses our credentials (HTTP {status}). Correct the connection "
            f"{source.connection!r}, then start the pull again."
        )
    if status in (408, 425, 429) or status >= 500:
        raise TryAgain(
            f"Source {source.name!r} asks to wait (HTTP {status}).", _retry_after(response), status
        )
    raise Rejected(
        status,
        f"Source {source.name!r} answered HTTP {status} to {method} {source.options.get('path', '')!r}. Compare "
        f"sources/{source.name}.yaml with the API's documentation.",
    )


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from either form that RFC 9110 10.2.3 allows."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    after = error.after if isinstance(error, TryAgain) else None
    seconds = min(LONGEST_WAIT, after if after is not None else 0.5 * 2.0 ** (state.attempt_number - 1))
    logger.info("%s Attempt %s of %s, next in %.1f s.", error, state.attempt_number, ATTEMPTS, seconds)
    return seconds
