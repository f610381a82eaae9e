"""Deleted videos are in their owner's trash until their bytes go."""

from storage.migrations.plain_sql import run_sql

revision = "0041_trash"
down_revision = "0040_uploads_go_on"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0041_trash.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0041_trash.down.sql")
