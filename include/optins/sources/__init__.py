"""Kinds of sources. A kind is one module of this folder, named as in a source's YAML (`kind: sql`), with one verb:

    def fetch(source: Source, access, since: datetime | None) -> Iterator[pandas.DataFrame]

Frames hold the columns of `frames.columns_read(source)` as Arrow strings (missing is NA), some 50,000 rows each.
`access` is what the kind needs to reach the system, made by the caller from its connection. `since` is
aware UTC, or None for everything; a kind that cannot filter by time gives everything. It raises the classes of `errors`
and no other.

A kind whose sources can be told of an opt-out has a second verb, that is safe to repeat:

    def tell(source: Source, access, optouts: Sequence[OptOut], now: datetime) -> list[Told]      (one answer for each)

A team's own kind is one more module here; nothing else needs to know it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol, cast

import pandas as pd

from include.entities import Source
from include.optins.sources.errors import SourceProblem, SourceRefused, SourceShapeChanged, SourceUnavailable
from include.optins.sources.http import HttpAccess
from include.optins.sources.optouts import OptOut, Told

__all__ = [
    "HttpAccess",
    "OptOut",
    "SourceKind",
    "SourceProblem",
    "SourceRefused",
    "SourceShapeChanged",
    "SourceUnavailable",
    "Told",
    "kind",
    "kinds",
    "teller",
]

HELPERS = frozenset(
    {"errors", "formats", "frames", "optouts", "own", "paging", "statement", "storage", "unpacking"}
)


class SourceKind(Protocol):
    """What a module of this folder offers."""

    def fetch(self, source: Source, access: Any, since: datetime | None) -> Iterator[pd.DataFrame]:
        """The source's records changed at or after `since`."""
        ...


def kinds() -> list[str]:
    """The names that `kind:` may have in a source's YAML."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in HELPERS)


def kind(name: str) -> SourceKind:
    """The module of a kind. Raises SourceShapeChanged for a name that is none."""
    if name not in kinds():
        raise SourceShapeChanged(f"There is no source kind {name!r}. Kinds: {', '.join(kinds())}.")
    return cast("SourceKind", importlib.import_module(f"{__name__}.{name}"))


def teller(source: Source) -> Callable[[Source, Any, Sequence[OptOut], datetime], list[Told]]:
    """The verb `tell` of a source's kind. Raises SourceShapeChanged where there is no way back."""
    tell = getattr(kind(source.kind), "tell", None)
    if source.optout is None or tell is None:
        raise SourceShapeChanged(
            f"Source {source.name!r} cannot be told of opt-outs: "
            + (f"the kind {source.kind!r} has no way back." if tell is None else "its YAML has no `optout`.")
        )
    return cast("Callable[[Source, Any, Sequence[OptOut], datetime], list[Told]]", tell)
