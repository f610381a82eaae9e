"""A live keeps why a moderator took it down."""

from storage.migrations.plain_sql import run_sql

revision = "0038_takedown_reason"
down_revision = "0037_playback_told"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0038_takedown_reason.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0038_takedown_reason.down.sql")
