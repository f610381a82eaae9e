"""Who watched how much of which video, by session and by day."""

from storage.migrations.plain_sql import run_sql

revision = "0022_watch_sessions"
down_revision = "0021_comment_threads"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0022_watch_sessions.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0022_watch_sessions.down.sql")
