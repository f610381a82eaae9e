"""Whoever stops following loses what only followers may see, also while it is open."""

from storage.migrations.plain_sql import run_sql

revision = "0010_follow_ends"
down_revision = "0009_user_sessions"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0010_follow_ends.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0010_follow_ends.down.sql")
