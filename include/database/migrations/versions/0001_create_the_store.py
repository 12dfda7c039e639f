"""Create the store."""

from include.database.migrations.beside import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Refuse: the first migration holds every consent proof; drop the database by hand if that is meant."""
    raise RuntimeError("Migration 0001 is not undone: it would drop the consent ledger.")
