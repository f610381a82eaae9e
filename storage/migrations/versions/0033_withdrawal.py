"""Videos are taken back at a time that their owner chose."""

from storage.migrations.plain_sql import run_sql

revision = "0033_withdrawal"
down_revision = "0032_protected_videos"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0033_withdrawal.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0033_withdrawal.down.sql")
