"""Prove and confirm consent."""

from include.database.migrations.beside import run_sql_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Refuse: consent events that need a confirmation would count as plain ones."""
    raise RuntimeError("Migration 0003 is not undone: unconfirmed people would become messageable.")
