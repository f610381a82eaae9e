"""Tags, category, language and chapters of videos."""

from storage.migrations.plain_sql import run_sql

revision = "0018_video_labels"
down_revision = "0017_playlists"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0018_video_labels.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0018_video_labels.down.sql")
