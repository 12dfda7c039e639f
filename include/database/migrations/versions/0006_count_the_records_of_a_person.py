"""Count the records of a person."""

from alembic import op

from include.database.migrations.beside import run_sql_beside

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Forget the count; the next reconciles make it again."""
    op.drop_column("subscription", "records")
