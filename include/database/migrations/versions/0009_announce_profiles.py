"""Announce profiles."""

from include.database.migrations.beside import run_sql_beside

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Refuse: no migration of the store is undone."""
    raise RuntimeError("Migration 0009 is not undone: profiles would be read again and again.")
