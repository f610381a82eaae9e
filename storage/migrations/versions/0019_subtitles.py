"""What is said in videos, as text in one language each."""

from storage.migrations.plain_sql import run_sql

revision = "0019_subtitles"
down_revision = "0018_video_labels"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0019_subtitles.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0019_subtitles.down.sql")
