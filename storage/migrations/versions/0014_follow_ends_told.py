"""Edges hear who stopped following somebody, and look again at what that person has open."""

from storage.migrations.plain_sql import run_sql

revision = "0014_follow_ends_told"
down_revision = "0013_live_segments"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0014_follow_ends_told.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0014_follow_ends_told.down.sql")
