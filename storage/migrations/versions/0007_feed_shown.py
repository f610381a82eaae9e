"""Feed rankers remember what their readers were shown."""

from storage.migrations.plain_sql import run_sql

revision = "0007_feed_shown"
down_revision = "0006_room_rules"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0007_feed_shown.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0007_feed_shown.down.sql")
