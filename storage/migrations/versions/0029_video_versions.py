"""A video is made again in another version while the one before plays on."""

from storage.migrations.plain_sql import run_sql

revision = "0029_video_versions"
down_revision = "0028_video_previews"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0029_video_versions.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0029_video_versions.down.sql")
