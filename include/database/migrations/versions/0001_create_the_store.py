"""Create the store."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL file beside this one as it stands (through the driver: SQLAlchemy would read % as a
    parameter).
    """
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - a checked-out connection has one
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: the first migration holds every consent proof; drop the database by hand if that is meant."""
    raise RuntimeError("Migration 0001 is not undone: it would drop the consent ledger.")
