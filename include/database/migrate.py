"""Schema versions. A pending migration makes everything refuse with one sentence instead of working by
halves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from include.database.connect import connect

MIGRATIONS = Path(__file__).with_name("migrations")
# Two `migrate` at once (an init job beside a developer) wait for each other on this lock. Any constant will
# do.
MIGRATION_LOCK = 0x77685F6462


class SchemaOutOfDate(Exception):
    """The database's schema is not the one this code was written for; migrate before anything else."""


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """Where a database stands: `current` is None for an empty one, `pending` the revisions still to apply."""

    current: str | None
    head: str
    pending: tuple[str, ...]

    @property
    def is_current(self) -> bool:
        """Whether code and schema fit each other."""
        return self.current == self.head


def migrate(dsn: str) -> SchemaStatus:
    """Bring the schema to the newest revision, in one transaction; safe to run twice at once. Returns where
    it stood before.
    """
    before = status(dsn)
    if before.is_current:
        return before
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"select pg_advisory_xact_lock({MIGRATION_LOCK})"))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
    return before


def status(dsn: str) -> SchemaStatus:
    """Compare the database with the migrations of this code. Raises DatabaseUnavailable."""
    with connect(dsn, application="whatsapp db status") as conn:
        return _status(conn)


def require_current(conn: psycopg.Connection[Any]) -> None:
    """Raise SchemaOutOfDate unless the schema fits this code. One indexed read; call it at the start of a
    task or page.
    """
    found = _status(conn)
    if found.is_current:
        return
    if found.current is None:
        problem = "is empty"
    elif found.pending:
        problem = (
            f"is at {found.current}, this code needs {found.head} ({len(found.pending)} migration(s) pending)"
        )
    else:
        problem = f"is at {found.current}, which this code (at {found.head}) does not know: the code is older"
    raise SchemaOutOfDate(
        f"The WhatsApp database {problem}. Run `whatsapp db migrate` with the newest code, then try again."
    )


def _status(conn: psycopg.Connection[Any]) -> SchemaStatus:
    script = ScriptDirectory.from_config(_config())
    head = script.get_current_head()
    if head is None:
        raise RuntimeError(f"No migrations found in {MIGRATIONS}.")
    exists = conn.execute("select to_regclass('alembic_version') is not null as exists").fetchone()
    row = (
        conn.execute("select version_num from alembic_version").fetchone()
        if exists and exists["exists"]
        else None
    )
    current = row["version_num"] if row else None
    newest_first = [revision.revision for revision in script.walk_revisions()]
    if current is None:
        pending = newest_first
    elif current in newest_first:
        pending = newest_first[: newest_first.index(current)]
    else:
        pending = []
    return SchemaStatus(current=current, head=head, pending=tuple(reversed(pending)))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
