"""What plays of a ready video is told."""

from storage.migrations.plain_sql import run_sql

revision = "0037_playback_told"
down_revision = "0036_video_engagement"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0037_playback_told.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0037_playback_told.down.sql")
