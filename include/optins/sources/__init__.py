"""Kinds of sources. A kind is one module of this folder, named as in a source's YAML (`kind: sql`), with one verb:

    def fetch(source: Source, access, since: datetime | None) -> Iterator[pandas.DataFrame]

Frames hold the columns of `frames.columns_read(source)` as Arrow strings (missing is NA), some 50,000 rows each.
`access` is what the kind needs to reach the system, made by the caller from its connection. `since` is
aware UTC, or None for everything; a kind that cannot filter by time gives everything. It raises the classes of `errors`
and no other.

A kind whose sources can be told of an opt-out has a second verb, that is safe to repeat:

    def tell(source: Source, access, optouts: Sequence[OptOut], now: datetime) -> list[Told]      (one answer for each)

A kind whose `fetch` without `since` gives what a source holds at that moment says `SHOWS_PRESENT_STATE = True`: its
sources are compared with our table once a day.

A team's own kind is a module of the same form in the folder `kinds` beside its entities; nothing else needs to know it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

import pandas as pd

from include.entities import Source, entities_folder
from include.entities.source_kinds import OURS, kind_files
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
    "is_built_in",
    "kind",
    "kinds",
    "shows_present_state",
    "teller",
]


class SourceKind(Protocol):
    """What a module of this folder offers."""

    def fetch(self, source: Source, access: Any, since: datetime | None) -> Iterator[pd.DataFrame]:
        """The source's records changed at or after `since`."""
        ...


def kinds() -> list[str]:
    """The names that `kind:` may have in a source's YAML: ours, and those of the folder `kinds` beside the entities."""
    return sorted(kind_files(entities_folder()))


def is_built_in(name: str) -> bool:
    """Whether a kind is one of ours."""
    return kind_files(entities_folder()).get(name, Path()).parent == OURS


def kind(name: str) -> SourceKind:
    """The module of a kind. Raises SourceShapeChanged for a name that is none and a module that cannot be loaded."""
    path = kind_files(entities_folder()).get(name)
    if path is None:
        raise SourceShapeChanged(f"There is no source kind {name!r}. Kinds: {', '.join(kinds())}.")
    if path.parent == OURS:
        return cast("SourceKind", importlib.import_module(f"{__name__}.{name}"))
    return cast("SourceKind", _own_module(name, path))


def shows_present_state(source: Source) -> bool:
    """Whether reading the whole source tells what it holds now; its YAML may say so or not (`compare`)."""
    if source.compare is not None:
        return source.compare
    # An export of Actito's holds changes, not a state.
    return bool(getattr(kind(source.kind), "SHOWS_PRESENT_STATE", False)) and "export" not in source.options


def teller(source: Source) -> Callable[[Source, Any, Sequence[OptOut], datetime], list[Told]]:
    """The verb `tell` of a source's kind. Raises SourceShapeChanged where there is no way back."""
    module = kind(source.kind)
    tell = getattr(module, "tell", None)
    if tell is None or (source.optout is None and not getattr(module, "KNOWS_ALREADY", False)):
        raise SourceShapeChanged(
            f"Source {source.name!r} cannot be told of opt-outs: "
            + (f"the kind {source.kind!r} has no way back." if tell is None else "its YAML has no `optout`.")
        )
    return cast("Callable[[Source, Any, Sequence[OptOut], datetime], list[Told]]", tell)


def _own_module(name: str, path: Path) -> ModuleType:
    full_name = f"whatsapp_kinds.{name}"
    loaded = sys.modules.get(full_name)
    if loaded is not None and loaded.__file__ == str(path):
        return loaded
    spec = importlib.util.spec_from_file_location(full_name, path)
    module = importlib.util.module_from_spec(spec) if spec else ModuleType(full_name)
    try:
        # Before it runs: dataclasses look their module up.
        sys.modules[full_name] = module
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except Exception as error:
        del sys.modules[full_name]
        raise SourceShapeChanged(
            f"The source kind {name!r} cannot be loaded: {path.name}: {type(error).__name__}: {error}."
        ) from error
    return module
