"""Recognise files without reading them."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """A stamp beside the mark of each file: its path, size, time of change and entity tag, hashed."""
    op.execute("alter table source_file add column stamp text")
    op.execute(
        "comment on column source_file.stamp is "
        "'What tells without reading it that a file is still the same; null while that is not sure.'"
    )


def downgrade() -> None:
    """Forget the stamps; files are then recognised by their content alone."""
    op.execute("alter table source_file drop column stamp")
