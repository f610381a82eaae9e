"""Recordings have their sound as AAC, too."""

from storage.migrations.plain_sql import run_sql

revision = "0034_recorded_aac"
down_revision = "0033_withdrawal"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0034_recorded_aac.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0034_recorded_aac.down.sql")
