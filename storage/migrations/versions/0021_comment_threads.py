"""Comments in threads, also below videos, with likes and one that is pinned."""

from storage.migrations.plain_sql import run_sql

revision = "0021_comment_threads"
down_revision = "0020_presence_told"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0021_comment_threads.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0021_comment_threads.down.sql")
