"""Answer people."""

from include.database.migrations.beside import run_sql_beside

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Refuse: which withdrawals were confirmed would be lost."""
    raise RuntimeError("Migration 0008 is not undone: withdrawals would be confirmed twice.")
