"""Likes, comments and shares of a video by day."""

from storage.migrations.plain_sql import run_sql

revision = "0036_video_engagement"
down_revision = "0035_subscriptions"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0036_video_engagement.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0036_video_engagement.down.sql")
