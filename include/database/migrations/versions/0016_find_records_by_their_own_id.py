"""Find records by their own id."""

from alembic import op

from include.database.migrations.beside import run_sql_beside

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Put the columns of the key back in their former order."""
    op.execute("alter table source_record drop constraint source_record_pkey")
    op.execute("alter table source_record add primary key (entity, source, record_id)")
