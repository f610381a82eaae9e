"""A live may say when it will begin."""

from storage.migrations.plain_sql import run_sql

revision = "0008_live_schedule"
down_revision = "0007_feed_shown"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0008_live_schedule.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0008_live_schedule.down.sql")
