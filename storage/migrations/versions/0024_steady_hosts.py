"""Hosts say since when they have been renewing without a gap: the measure of who may judge."""

from storage.migrations.plain_sql import run_sql

revision = "0024_steady_hosts"
down_revision = "0023_live_samples"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0024_steady_hosts.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0024_steady_hosts.down.sql")
