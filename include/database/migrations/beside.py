"""What nearly every migration does: run the SQL file of its own name."""

from __future__ import annotations

from pathlib import Path

from alembic import op


def run_sql_beside(migration: str) -> None:
    """Run the `.sql` file beside a migration (its `__file__`) as it stands, in alembic's transaction.

    Through the driver: SQLAlchemy would read % as a parameter.
    """
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - a checked-out connection has one
    driver.execute(Path(migration).with_suffix(".sql").read_text(encoding="utf-8"))
