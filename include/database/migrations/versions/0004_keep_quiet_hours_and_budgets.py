"""Keep quiet hours and budgets, and what a person says of a sender."""

from include.database.migrations.beside import run_sql_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Refuse, as every migration: what was counted since would be lost."""
    raise RuntimeError("Migration 0004 is not undone: restore the backup that was made before it.")
