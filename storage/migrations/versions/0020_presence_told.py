"""Edges hear who is shown to others than before, and look again at who sees them."""

from storage.migrations.plain_sql import run_sql

revision = "0020_presence_told"
down_revision = "0019_subtitles"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0020_presence_told.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0020_presence_told.down.sql")
