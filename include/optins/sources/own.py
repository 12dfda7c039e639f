"""What a kind may use of our own database, given to it by the pull in the pull's own transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg


@dataclass(frozen=True, slots=True)
class OwnStore:
    """Access of a kind with `READS_OWN_STORE = True`: our database in the transaction of the pull `run_id`.

    `remote` is what the source's connection leads to, if it has one.
    """

    conn: psycopg.Connection[Any]
    entity: str
    run_id: int
    remote: Any = None


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file of a source: its path in the folder, what its content is (`mark`), and what tells without reading it that
    it is still the same (`stamp`), if anything does.
    """

    name: str
    mark: str
    stamp: str | None


@dataclass(frozen=True, slots=True)
class RememberedFolder:
    """Access of a kind with `REMEMBERS_FILES = True`: the folder, the marks and stamps of the files taken before, and
    what this pull finds: the files `taken`, and those that were `recognised` by their content alone.
    """

    folder: Any
    marks: Collection[str] = ()
    stamps: Collection[str] = ()
    now: datetime | None = None
    taken: list[ReadFile] = field(default_factory=list)
    recognised: list[ReadFile] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Metered:
    """Access for the verb `tell` of a kind with `BULK_CALLS`: what the connection leads to, and `take`, which says
    whether one more bulk call is allowed and counts it; in our database, so that no restart forgets it.
    """

    access: Any
    take: Callable[[], bool]
