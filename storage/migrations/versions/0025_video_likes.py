"""People like videos, as they like posts and comments."""

from storage.migrations.plain_sql import run_sql

revision = "0025_video_likes"
down_revision = "0024_steady_hosts"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0025_video_likes.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0025_video_likes.down.sql")
