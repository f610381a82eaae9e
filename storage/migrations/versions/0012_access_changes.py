"""Edges hear who may see a post no more, as they do for lives."""

from storage.migrations.plain_sql import run_sql

revision = "0012_access_changes"
down_revision = "0011_placement_numbers"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0012_access_changes.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0012_access_changes.down.sql")
