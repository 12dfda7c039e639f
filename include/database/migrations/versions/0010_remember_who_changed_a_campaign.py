"""Remember who changed a campaign."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the SQL file beside this one as it stands (see 0001)."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - a checked-out connection has one
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse, as every migration: the history would be lost."""
    raise RuntimeError("Migration 0010 is not undone: restore the backup that was made before it.")
