"""Let senders say what they use of a rate, and what their campaign asked for."""

from include.database.migrations.beside import run_sql_beside

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Refuse: an older sender beside a newer one would not keep the rate."""
    raise RuntimeError(
        "Migration 0011 is not undone: senders of two versions would share a rate and exceed it."
    )
