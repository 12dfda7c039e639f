"""Announce profiles."""

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the SQL file beside this one as it stands (through the driver: SQLAlchemy would read % as a
    parameter).
    """
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - a checked-out connection has one
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: no migration of the store is undone."""
    raise RuntimeError("Migration 0009 is not undone: profiles would be read again and again.")
