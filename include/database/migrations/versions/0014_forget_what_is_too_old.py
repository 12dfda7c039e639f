"""Forget what is too old."""

from alembic import op

from include.database.migrations.beside import run_sql_beside

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Drop what is computed anew; rows that were forgotten stay so."""
    op.execute("drop function last_own_action")
    op.execute("alter table subscription drop column last_action_at")
    op.execute("alter table campaign drop column forgotten_at")
