"""Rooms keep rules, members, pins and lines held for review."""

from storage.migrations.plain_sql import run_sql

revision = "0006_room_rules"
down_revision = "0005_live_access"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0006_room_rules.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0006_room_rules.down.sql")
