"""Keep media when asked."""

from include.database.migrations.beside import run_sql_beside

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Refuse: which files are kept would be lost."""
    raise RuntimeError("Migration 0012 is not undone: it would forget which files are to be deleted.")
