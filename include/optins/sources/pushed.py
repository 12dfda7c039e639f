"""Opt-ins that a source sends by itself: JSON records posted to the webhook, in the order in which they came.

The source has no connection and `options: {changed_column: received_at}`. Its fields are dotted paths into a record;
`received_at`, when it came, may be the `changed_at` of records that have no time of their own. What a former pull has
taken for good is deleted here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pandas as pd

from include.database import named_sql
from include.entities import Source
from include.optins.sources.frames import columns_read, frames
from include.optins.sources.own import OwnStore
from include.optins.sources.paging import path_value

READS_OWN_STORE = True
RECEIVED = "received_at"
queries = named_sql(__file__, "pushed.sql")


def fetch(source: Source, access: OwnStore, since: datetime | None) -> Iterator[pd.DataFrame]:
    """The records received at or after `since`."""
    name = {"entity": access.entity, "source": source.name}
    if since is not None:
        queries.forget(access.conn, **name, before=since)
    wanted = columns_read(source)
    rows = queries.received(access.conn, **name, since=since)
    yield from frames(
        (
            [row[RECEIVED] if column == RECEIVED else path_value(row["record"], column) for column in wanted]
            for row in rows
        ),
        wanted,
    )
