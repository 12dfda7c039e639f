"""Compare with the sources."""

from alembic import op

from include.database.migrations.beside import run_sql_beside

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Drop what a comparison writes anew, and the count of bulk calls."""
    op.execute("drop table optin_difference, optin_comparison, bulk_call")
