"""Opt-ins in Actito: the profiles of a table with their WhatsApp subscription, through the V5 API, or a daily export.

Options of the API: `entity`, `table`, `subscription` (its name in Actito), `prefix` (`/profiles/v5`, or `/v5` where a
host has it so); `paging` and its names as in the `http` kind (Actito's documentation shows none for this list: try them
on a test licence); `bulk` (`etl`: id of a stored import definition, `above`: how many opt-outs are worth one of the 24
bulk calls a day, `prefix`: `/mass-imports/v5`, or `/v5`). Fields are dotted paths into a profile:
`attributes.gsmNumber`, `subscriptions.WhatsApp`.

The connection's password is the API key. A token lives 900 seconds and is fetched again in time; 100 calls a minute
are allowed, what is more is slowed down by Actito, so we do not send more. (Sources: developers.actito.com,
authentication and limits; autumn 2026.)

With the option `export` (a pattern such as `profile_changes_%Y%m%d*.zip`) the source reads an incremental export
instead, from a folder that Actito delivers to: `;`-separated UTF-8 CSV, always zipped. *Profile changes* holds the
changes of every subscription, one a row: `subscription_column` names the column that says which, and only rows of
`subscription` are read.
"""

from __future__ import annotations

import csv
import io
import re
import threading
import time
import zipfile
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pandas as pd

from include.entities import Source
from include.optins.sources import file, http
from include.optins.sources.errors import SourceRefused, SourceShapeChanged, SourceUnavailable
from include.optins.sources.http import HttpAccess
from include.optins.sources.optouts import OptOut, Told
from include.optins.sources.own import Metered, RememberedFolder
from include.optins.sources.storage import Folder
from include.optins.texts import holds

CALLS, WINDOW = 100, 60.0  # calls in so many seconds
MARGIN = 60.0  # a token is replaced so many seconds before its end
BATCH = 20_000  # opt-outs told at once; one bulk file holds them
SINGLE = 1_000  # opt-outs told one by one at once: ten minutes at Actito's pace
BULK_CALLS = 24  # in 24 hours, for each table (developers.actito.com, limits)
SHOWS_PRESENT_STATE = True
REMEMBERS_FILES = True


def fetch(
    source: Source, access: HttpAccess | Folder | RememberedFolder, since: datetime | None
) -> Iterator[pd.DataFrame]:
    """The profiles of the table, page by page, or what the exports that are new say. Raises SourceProblem."""
    if "export" in source.options:
        return _exported(source, access, since)
    if not isinstance(access, HttpAccess):
        raise SourceShapeChanged(
            f"Source {source.name!r}: Actito's API needs a connection of type HTTP; options.export reads files instead."
        )
    return http.fetch(_as_http(source), _with_token(access), since)


def tell(
    source: Source,
    access: HttpAccess | Metered,
    optouts: Sequence[OptOut],
    now: datetime,  # noqa: ARG001 - every kind is told in one way
) -> list[Told]:
    """Unsubscribe the profiles one by one, or by one bulk import where that is set up and there are many.

    Both set a state, so that a repeat changes nothing. Where the day's bulk calls are used up, or there is no import,
    the first `SINGLE` are told one by one and the others later.
    """
    bulk = source.options.get("bulk")
    metered = access if isinstance(access, Metered) else Metered(access, lambda: True)
    with open_client(metered.access) as client:
        if bulk and len(optouts) > int(bulk.get("above", 100)) and metered.take():
            try:
                return _tell_in_bulk(source, client, optouts, str(bulk["etl"]))
            except http.TryAgain as refused:
                if refused.status != httpx.codes.TOO_MANY_REQUESTS:
                    raise
                # Its own count of the day differs from ours: the single calls have another limit.
        told = [_tell_one(source, client, optout) for optout in optouts[:SINGLE]]
    return told + [Told("waits for its turn", later=True) for _ in optouts[SINGLE:]]


def _tell_one(source: Source, client: httpx.Client, optout: OptOut) -> Told:
    body = {
        "key": {_key(source): optout.record_id},
        "subscriptions": {_option(source, "subscription"): False},
    }
    try:
        http.send(source, client, "PUT", profiles(source), json=body)
    except http.Rejected as rejected:
        return Told(f"HTTP {rejected.status}", final=True)
    return Told()


def _tell_in_bulk(source: Source, client: httpx.Client, optouts: Sequence[OptOut], etl: str) -> list[Told]:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow((_key(source), _option(source, "subscription")))
    writer.writerows((optout.record_id, "FALSE") for optout in optouts)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        # UTF-8 without a byte order mark: Actito rejects files that have one.
        archive.writestr("optouts.csv", text.getvalue().encode())
    prefix = str(source.options["bulk"].get("prefix", "/mass-imports/v5")).rstrip("/")
    url = f"{prefix}/entities/{_option(source, 'entity')}/etls/{etl}/trigger-execution"
    http.send(
        source,
        client,
        "POST",
        url,
        files={"inputFile": ("optouts.zip", packed.getvalue(), "application/zip")},
    )
    return [Told() for _ in optouts]


def open_client(access: HttpAccess) -> httpx.Client:
    """A client of the API that keeps its token fresh and its pace."""
    return _with_token(access).client()


def parameters(source: Source) -> dict[str, str]:
    """The query parameters that ask for a profile's subscription."""
    return {"subscriptions": _option(source, "subscription")}


def _exported(source: Source, access: Any, since: datetime | None) -> Iterator[pd.DataFrame]:
    if isinstance(access, HttpAccess):
        raise SourceShapeChanged(
            f"Source {source.name!r}: options.export needs a connection that leads to files."
        )
    options = source.options
    as_file = {"pattern": options["export"], "format": "csv", "separator": ";"}
    column = options.get("subscription_column")
    # A column of the file that no record of ours has: it is read to choose the rows by.
    extra = {"subscription_column": column} if column else {}
    columns = source.columns.model_copy(update={"attributes": {**source.columns.attributes, **extra}})
    reader = source.model_copy(update={"columns": columns, "options": as_file | dict(options)})
    for frame in file.fetch(reader, access, since):
        yield frame if column is None else frame[holds(frame[column] == _option(source, "subscription"))]


def _as_http(source: Source) -> Source:
    """The same source for the `http` kind."""
    wanted = {
        **source.options,
        "path": profiles(source),
        "parameters": {**source.options.get("parameters", {}), **parameters(source)},
    }
    return source.model_copy(update={"options": wanted})


def profiles(source: Source) -> str:
    """The path of the table's profiles."""
    prefix = str(source.options.get("prefix", "/profiles/v5")).rstrip("/")
    return f"{prefix}/entities/{_option(source, 'entity')}/profile-tables/{_option(source, 'table')}/profiles"


def _key(source: Source) -> str:
    """The attribute that names a profile: the last part of the record id's path."""
    return source.columns.record_id.rpartition(".")[2]


def _option(source: Source, name: str) -> str:
    options = source.options
    needed = {
        "entity": options.get("entity"),
        "table": options.get("table"),
        "subscription": options.get("subscription"),
    }
    if not needed[name]:
        raise SourceShapeChanged(f"Source {source.name!r}: options.{name} is missing in its YAML.")
    return str(needed[name])


def _with_token(access: HttpAccess) -> _ActitoAccess:
    key = access.headers.get("Authorization", "").removeprefix("Bearer ") or (
        access.auth[1] if access.auth else ""
    )
    others = {name: value for name, value in access.headers.items() if name != "Authorization"}
    return _ActitoAccess(access.base_url, others, None, access.timeout, key)


@dataclass(frozen=True, slots=True)
class _ActitoAccess(HttpAccess):
    """An address with an API key that buys tokens."""

    key: str = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    def client(self) -> httpx.Client:
        """A client that keeps its token fresh and its pace."""
        pace = _Pace()
        return httpx.Client(
            base_url=self.base_url,
            headers=dict(self.headers),
            auth=_Token(self.key),
            timeout=self.timeout,
            event_hooks={"request": [lambda _: pace.wait()]},
        )


class _Token(httpx.Auth):
    """`GET /auth/token` with the raw key; its answer goes into every request until shortly before it ends."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._token, self._until = "", 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if time.monotonic() >= self._until:
            yield from self._renew(request)
        request.headers["Authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            # Tokens also end when a key is changed; a key that is wrong is told by the next answer.
            yield from self._renew(request)
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _renew(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        url = request.url.copy_with(path="/auth/token", query=None)
        response = yield httpx.Request(
            "GET", url, headers={"Authorization": self._key, "Accept": "application/json"}
        )
        response.read()
        if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise SourceRefused(
                "Actito refuses the API key. Correct the connection's password, then start again."
            )
        try:
            answer = response.raise_for_status().json()
            lasts = float(re.sub(r"\D", "", str(answer["expiresIn"])))  # "900s"
            self._token, self._until = str(answer["accessToken"]), time.monotonic() + max(0.0, lasts - MARGIN)
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            raise SourceUnavailable(f"Actito gives no token (HTTP {response.status_code}).") from None


class _Pace:
    """At most `CALLS` calls in any `WINDOW` seconds."""

    def __init__(self) -> None:
        self._calls: deque[float] = deque(maxlen=CALLS)
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next call may leave."""
        with self._lock:
            if len(self._calls) == CALLS:
                time.sleep(max(0.0, self._calls[0] + WINDOW - time.monotonic()))
            self._calls.append(time.monotonic())
