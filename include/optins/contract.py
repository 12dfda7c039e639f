"""Does a source still look as it did? A silent change of shape (a column emptied, a type changed, a word for "yes"
replaced) would otherwise come through as a million rejects or, worse, as a million withdrawals.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import pandas as pd

from include.entities import Source
from include.optins.sources import SourceShapeChanged
from include.optins.texts import holds

SAMPLED = (
    5_000  # records per frame whose types are looked at; a million look as the first ones of each chunk do
)
_TYPES = (("number", r"[+-]?\d+(?:[.,]\d+)?"), ("time", r"\d{4}-\d{2}-\d{2}.*|\d{1,2}[/.]\d{1,2}[/.]\d{4}.*"))

Shape = dict[str, Any]


class ShapeOfPull:
    """Counts what the frames of one pull look like."""

    def __init__(self) -> None:
        self.records = 0
        self._rows = 0
        self.rejected: Counter[str] = Counter()
        self._empty: Counter[str] = Counter()
        self._types: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, frame: pd.DataFrame, *, rejected: Iterable[str]) -> None:
        """One frame as the source gave it, and the reasons of its records that could not be taken."""
        # A row that could not be read is a record, although its columns say nothing.
        self.records += len(frame) + len(frame.attrs.get("unreadable", ()))
        self._rows += len(frame)
        self.rejected.update(rejected)
        for name in frame.columns:
            column = frame[name]
            self._empty[name] += int((column.isna() | holds(column == "")).sum())
            present = column.head(SAMPLED).dropna()
            left = len(present)
            for kind, pattern in _TYPES:
                count = int(holds(present.str.fullmatch(pattern)).sum())
                self._types[name][kind] += count
                left -= count
            self._types[name]["text"] += left

    def shares(self) -> Shape:
        """`{"rejected": share, "columns": {name: {"empty": share, "number": share, "time": …, "text": …}}}`, of 1."""
        columns = {}
        for name, empty in self._empty.items():
            seen = self._types[name].total()
            types = (
                {kind: round(count / seen, 4) for kind, count in self._types[name].items()} if seen else {}
            )
            columns[name] = {"empty": round(empty / self._rows, 4), **types} if self._rows else {}
        return {
            "rejected": round(self.rejected.total() / self.records, 4) if self.records else 0.0,
            "columns": columns,
        }


def check_contract(source: Source, found: ShapeOfPull, before: Shape | None) -> None:
    """Raise SourceShapeChanged, saying what changed, when a pull does not look like the one before."""
    if found.records < source.contract.min_records:
        return
    shares = found.shares()
    changes = list(_changes(before, shares, source.contract.max_change)) if before else []
    if found.rejected.total() >= found.records:
        reasons = ", ".join(f"{reason} {count}" for reason, count in found.rejected.most_common(3))
        changes.append(f"none of the {found.records} records can be taken ({reasons})")
    if changes:
        raise SourceShapeChanged(
            f"Source {source.name!r} changed its shape: {'; '.join(changes)}. If that is right, correct "
            f"sources/{source.name}.yaml and set contract.changed_on to the day of the change. "
            "Nothing of this pull was kept."
        )


def _changes(before: Shape, now: Shape, most: float) -> Iterable[str]:
    if now["rejected"] - before["rejected"] > most:
        yield f"{now['rejected']:.0%} of the records cannot be taken, it was {before['rejected']:.0%}"
    for name, shares in now["columns"].items():
        known = before["columns"].get(name)
        if not known:
            continue
        if abs(shares["empty"] - known["empty"]) > most:
            yield f"column {name!r} is empty in {shares['empty']:.0%} of the records, it was in {known['empty']:.0%}"
        kinds = [kind for kind in ("number", "time", "text") if kind in shares and kind in known]
        moved = [kind for kind in kinds if shares[kind] - known[kind] > most]
        for kind in moved:
            yield f"{shares[kind]:.0%} of column {name!r} look like a {kind}, it was {known[kind]:.0%}"
