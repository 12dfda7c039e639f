"""Keep media when asked."""

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the SQL file beside this one as it stands (through the driver: SQLAlchemy would read % as a
    parameter).
    """
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - a checked-out connection has one
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: which files are kept would be lost."""
    raise RuntimeError("Migration 0012 is not undone: it would forget which files are to be deleted.")
