"""What a kind may use of our own database, given to it by the pull in the pull's own transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import psycopg


@dataclass(frozen=True, slots=True)
class OwnStore:
    """Access of a kind with `READS_OWN_STORE = True`: our database instead of a connection."""

    conn: psycopg.Connection[Any]
    entity: str


@dataclass(frozen=True, slots=True)
class RememberedFolder:
    """Access of a kind with `REMEMBERS_FILES = True`: the folder, marks of the files taken before, and of
    those taken now by name.
    """

    folder: Any
    known: Collection[str] = ()
    taken: dict[str, str] = field(default_factory=dict)
