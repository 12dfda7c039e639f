"""Prove and confirm consent."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the SQL file beside this one as it stands (see 0001)."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - a checked-out connection has one
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: consent events that need a confirmation would count as plain ones."""
    raise RuntimeError("Migration 0003 is not undone: unconfirmed people would become messageable.")
