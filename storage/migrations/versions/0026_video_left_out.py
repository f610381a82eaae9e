"""What could not be made of a video, and why."""

from storage.migrations.plain_sql import run_sql

revision = "0026_video_left_out"
down_revision = "0025_video_likes"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0026_video_left_out.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0026_video_left_out.down.sql")
