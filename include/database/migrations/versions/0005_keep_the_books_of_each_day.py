"""Keep the books of each day."""

from include.database.migrations.beside import run_sql_beside

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Refuse: the compared days would be lost."""
    raise RuntimeError("Migration 0005 is not undone: it would drop the days that were compared.")
