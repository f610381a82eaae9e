"""Changing who may see a live raises its version and tells every process."""

from storage.migrations.plain_sql import run_sql

revision = "0005_live_access"
down_revision = "0004_trust"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0005_live_access.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0005_live_access.down.sql")
