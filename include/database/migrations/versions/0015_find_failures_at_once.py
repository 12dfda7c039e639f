"""Find failures at once."""

from alembic import op

from include.database.migrations.beside import run_sql_beside

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Drop the index; it holds nothing of its own."""
    op.execute("drop index message_event_failed")
