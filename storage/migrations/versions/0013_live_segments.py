"""What of a live is stored as segments, and which videos are recordings or clips of them."""

from storage.migrations.plain_sql import run_sql

revision = "0013_live_segments"
down_revision = "0012_access_changes"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0013_live_segments.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0013_live_segments.down.sql")
