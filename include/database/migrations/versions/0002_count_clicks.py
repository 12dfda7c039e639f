"""Count clicks of tracked links."""

from include.database.migrations.beside import run_sql_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Refuse: the clicks counted would be lost."""
    raise RuntimeError("Migration 0002 is not undone: it would drop the clicks that were counted.")
