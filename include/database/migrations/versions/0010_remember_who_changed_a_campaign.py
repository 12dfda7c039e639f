"""Remember who changed a campaign."""

from include.database.migrations.beside import run_sql_beside

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Refuse, as every migration: the history would be lost."""
    raise RuntimeError("Migration 0010 is not undone: restore the backup that was made before it.")
