"""How lives went, and who came."""

from storage.migrations.plain_sql import run_sql

revision = "0023_live_samples"
down_revision = "0022_watch_sessions"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0023_live_samples.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0023_live_samples.down.sql")
