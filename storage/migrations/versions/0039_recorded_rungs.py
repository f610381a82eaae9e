"""Recordings have their picture in smaller sizes, too."""

from storage.migrations.plain_sql import run_sql

revision = "0039_recorded_rungs"
down_revision = "0038_takedown_reason"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0039_recorded_rungs.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0039_recorded_rungs.down.sql")
