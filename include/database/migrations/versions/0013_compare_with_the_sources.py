"""Compare with the sources."""

from pathlib import Path

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run the SQL file beside this one as it stands (see 0001)."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - a checked-out connection has one
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop what a comparison writes anew, and the count of bulk calls."""
    op.execute("drop table optin_difference, optin_comparison, bulk_call")
