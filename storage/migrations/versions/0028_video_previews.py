"""Videos have a short silent preview."""

from storage.migrations.plain_sql import run_sql

revision = "0028_video_previews"
down_revision = "0027_publication"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0028_video_previews.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0028_video_previews.down.sql")
