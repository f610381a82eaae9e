"""Each person has a durable channel, and chooses who sees whether they are there."""

from storage.migrations.plain_sql import run_sql

revision = "0009_user_sessions"
down_revision = "0008_live_schedule"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0009_user_sessions.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0009_user_sessions.down.sql")
