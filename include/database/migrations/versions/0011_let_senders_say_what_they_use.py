"""Let senders say what they use of a rate, and what their campaign asked for."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the SQL file beside this one as it stands (see 0001)."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - a checked-out connection has one
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: an older sender beside a newer one would not keep the rate."""
    raise RuntimeError(
        "Migration 0011 is not undone: senders of two versions would share a rate and exceed it."
    )
