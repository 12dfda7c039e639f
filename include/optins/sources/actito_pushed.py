"""Opt-ins that Actito announces by its webhooks: which profiles have changed, each then read anew.

A webhook's payload holds only what the triggering operation changed, plus unique identifiers (developers.actito.com,
"Webhooks"), so nothing of it is believed but the profile's key: the pull reads that profile with its subscription, a
call each within Actito's limits. A pull takes at most `most` announcements (1,000: ten minutes); the others wait for
the next one. An announcement is forgotten once a pull that read its profile has been applied.

Options: `entity`, `table`, `subscription`, `prefix` as for `actito`; `profile_key`: how the API names a profile, made
of fields of the payload (`{profileId}`, or `customerId={customerId}`); `changed_column: received_at`. Fields are dotted
paths into a profile; `received_at` is when its change was announced. Whether Actito repeats a push that failed is not
documented: have its daily export (a `file` source) or an `actito` source as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
import pandas as pd

from include.database import named_sql
from include.entities import Source
from include.optins.sources import actito, http
from include.optins.sources.actito import BATCH, tell
from include.optins.sources.errors import SourceShapeChanged, SourceUnavailable
from include.optins.sources.frames import columns_read, frames
from include.optins.sources.own import OwnStore
from include.optins.sources.paging import path_value
from include.optins.sources.pushed import RECEIVED

__all__ = ["BATCH", "READS_OWN_STORE", "fetch", "tell"]
READS_OWN_STORE = True
queries = named_sql(__file__, "actito_pushed.sql")
MOST = 1_000
_FIELD = re.compile(r"\{([\w.]+)\}")


def fetch(source: Source, access: OwnStore, since: datetime | None) -> Iterator[pd.DataFrame]:  # noqa: ARG001
    """The announced profiles that no pull has taken, as they are now. Raises SourceProblem."""
    name = {"entity": access.entity, "source": source.name}
    queries.forget_applied(access.conn, **name)
    most = int(source.options.get("most", MOST))
    rows = list(queries.announced(access.conn, **name, sync_run_id=access.run_id, most=most))
    profiles = _announced(source, rows)
    if not profiles:
        return
    wanted = columns_read(source)
    # One client for all of them: they share its token and its pace.
    with actito.open_client(access.remote) as client:
        yield from frames((_row(source, client, wanted, *profile) for profile in profiles), wanted)
    queries.take(access.conn, **name, sync_run_id=access.run_id, digests=[row["digest"] for row in rows])


def _announced(source: Source, rows: list[dict[str, Any]]) -> list[tuple[str | None, str]]:
    """`(key, when it was last announced)` of the profiles, the oldest announcement first; None where no key is named.

    Raises SourceShapeChanged when none of them names its profile.
    """
    form = str(source.options.get("profile_key", "{profileId}"))
    newest: dict[str, str] = {}
    nameless: list[tuple[str | None, str]] = []
    for row in rows:
        for item in _items(row["record"]):
            values = {field: path_value(item, field) for field in _FIELD.findall(form)}
            if any(value is None or isinstance(value, dict | list) for value in values.values()):
                nameless.append((None, row[RECEIVED]))
                continue
            key = form
            for field, value in values.items():
                key = key.replace(f"{{{field}}}", quote(str(value), safe=""))
            newest.pop(key, None)
            newest[key] = row[RECEIVED]
    if nameless and not newest:
        raise SourceShapeChanged(
            f"Source {source.name!r}: no webhook of Actito has the fields of {form!r}. Correct options.profile_key in "
            f"sources/{source.name}.yaml; what was announced is kept."
        )
    return [*newest.items(), *nameless]


def _items(record: Mapping[str, Any]) -> list[Any]:
    """The profiles of one push: its `data`, one or a list (bulk mode), else the record itself."""
    data = record.get("data", record)
    return data if isinstance(data, list) else [data]


def _row(
    source: Source, client: httpx.Client, wanted: list[str], key: str | None, received: str
) -> list[Any]:
    profile = _profile(source, client, key) if key is not None else None
    values = {column: path_value(profile or {}, column) for column in wanted}
    if profile is None and key is not None:
        values[source.columns.record_id] = key.rpartition("=")[2]
    return [received if column == RECEIVED else values[column] for column in wanted]


def _profile(source: Source, client: httpx.Client, key: str) -> Any:
    """The profile as it is now, None when it has been deleted: its record is then rejected, where it can be seen."""
    url = f"{actito.profiles(source)}/{key}"
    try:
        return http.send(source, client, "GET", url, params=actito.parameters(source)).json()
    except http.Rejected as rejected:
        if rejected.status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
            return None
        raise
    except ValueError:
        raise SourceUnavailable(f"Source {source.name!r} answered with something that is not JSON.") from None
