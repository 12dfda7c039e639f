"""Opt-ins by message: people who wrote a START word to our number, also those we did not know before.

It reads our own `inbound_message`, so the source has no connection. Its columns are always
`{record_id: id, phone: number, consent: said, changed_at: occurred_at}`, with `options: {changed_column: received_at}`.
What counts as a START word is decided where the message comes in (`include.inbound`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import pandas as pd

from include.database import named_sql
from include.entities import Source
from include.optins.sources.frames import columns_read, frames, require_columns
from include.optins.sources.optouts import OptOut, Told
from include.optins.sources.own import OwnStore

READS_OWN_STORE = True
KNOWS_ALREADY = True  # of every opt-out: its records are our own
queries = named_sql(__file__, "inbound.sql")


def fetch(source: Source, access: OwnStore, since: datetime | None) -> Iterator[pd.DataFrame]:
    """The START messages received at or after `since`."""
    wanted = columns_read(source)
    rows = list(queries.starts(access.conn, entity=access.entity, since=since))
    if rows:
        require_columns(source, rows[0], where="a message")
    yield from frames(([row[name] for name in wanted] for row in rows), wanted)


def tell(source: Source, access: None, optouts: Sequence[OptOut], now: datetime) -> list[Told]:  # noqa: ARG001
    """Nobody else holds what people wrote to us, so there is nobody to tell."""
    return [Told() for _ in optouts]
