"""Where a video is watched: the country of each session, and countries by day."""

from storage.migrations.plain_sql import run_sql

revision = "0030_watch_countries"
down_revision = "0029_video_versions"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0030_watch_countries.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0030_watch_countries.down.sql")
