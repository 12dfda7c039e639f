"""Forget what is too old."""

from pathlib import Path

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run the SQL file beside this one as it stands (see 0001)."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - a checked-out connection has one
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop what is computed anew; rows that were forgotten stay so."""
    op.execute("drop function last_own_action")
    op.execute("alter table subscription drop column last_action_at")
    op.execute("alter table campaign drop column forgotten_at")
