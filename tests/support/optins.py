"""An entity with one file source, and ways to look at what became of it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from include.entities import Entity, Source, Wording
from include.entities.models import Columns, EntityFile, Guard, OptOutBack
from include.optins import PullResult, pull
from include.subscriptions import ReconcileResult, Release, reconcile

KEY = b"a key of the tests, longer than 32 characters"
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HEADER = ("id", "phone", "consent", "changed", "language", "name", "city")
COLUMNS = Columns(
    record_id="id",
    phone="phone",
    consent="consent",
    changed_at="changed",
    language="language",
    attributes={"first_name": "name", "city": "city"},
)


def source(name: str = "drop", kind: str = "file", **changes: Any) -> Source:
    """A source of CSV files named after it."""
    values: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "connection": name,
        "columns": COLUMNS,
        "wording": "w1",
        "collection_point": "a form",
        "options": {"pattern": f"{name}*.csv"},
        "optout": OptOutBack(folder="optouts"),
    }
    return Source(**(values | changes))


def entity(*sources: Source, guard: Guard | None = None, **changes: Any) -> Entity:
    """A Belgian entity that speaks nl, fr, en."""
    values: dict[str, Any] = {
        "name": "brand",
        "label": "Brand",
        "connection": "cm_com_brand",
        "default_region": "BE",
        "languages": ("nl", "fr", "en"),
        "default_language": "en",
        "time_zone": "Europe/Brussels",
        "precedence": tuple(each.name for each in sources),
        "wordings": (Wording(id="w1", texts={"en": "Yes, please.", "nl": "Ja, graag."}),),
        "guard": guard or Guard(),
    }
    settings = EntityFile(**(values | changes))
    return Entity(folder=Path(), settings=settings, sources=sources, templates=(), segments=(), campaigns=())


def write_csv(path: Path, rows: Iterable[Sequence[Any]], header: Sequence[str] = HEADER) -> None:
    """Rows in the order of `header`; None is an empty field."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


class Store:
    """A migrated database with the two verbs, and queries on what they left."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn, self.folder, self.runs = dsn, folder, 0

    def pull(
        self,
        entity: Entity,
        name: str | None = None,
        *,
        run_key: str | None = None,
        now: datetime = NOW,
        access: Any = None,
        whole: bool = False,
    ) -> PullResult:
        self.runs += 1
        chosen = entity.source(name) if name else entity.sources[0]
        return pull(
            entity,
            chosen,
            access or self.folder,
            dsn=self.dsn,
            run_key=run_key or f"run-{self.runs}",
            now=now,
            whole=whole,
        )

    def reconcile(self, entity: Entity, *, now: datetime = NOW, release: bool = False) -> ReconcileResult:
        return reconcile(
            entity, dsn=self.dsn, key=KEY, now=now, release=Release("tests") if release else None
        )

    def sync(
        self, entity: Entity, rows: Iterable[Sequence[Any]], *, now: datetime = NOW, release: bool = False
    ) -> ReconcileResult:
        """Deliver these rows as the file of the entity's first source, pull and reconcile."""
        name = entity.sources[0].name
        write_csv(self.folder / f"{name}.csv", rows)
        self.pull(entity, name, now=now)
        return self.reconcile(entity, now=now, release=release)

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.dsn, row_factory=dict_row) as conn:
            return conn.execute(query, parameters).fetchall()

    def value(self, query: str, *parameters: Any) -> Any:
        return next(iter(self.rows(query, *parameters)[0].values()))

    def execute(self, query: str, *parameters: Any) -> None:
        with psycopg.connect(self.dsn) as conn:
            conn.execute(query, parameters)

    def people(self) -> dict[str, str]:
        """State by phone number."""
        return {
            row["phone"]: row["status"]
            for row in self.rows("select phone, status from subscription order by phone")
        }

    def reasons(self) -> dict[str, int]:
        """Rejected records by reason."""
        found = self.rows(
            "select reason, count(*) as records from rejected_record group by reason order by reason"
        )
        return {row["reason"]: row["records"] for row in found}
