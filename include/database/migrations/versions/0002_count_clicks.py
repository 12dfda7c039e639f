"""Count clicks of tracked links."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the SQL file beside this one as it stands (through the driver: SQLAlchemy would read % as a
    parameter).
    """
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - a checked-out connection has one
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: the clicks counted would be lost."""
    raise RuntimeError("Migration 0002 is not undone: it would drop the clicks that were counted.")
