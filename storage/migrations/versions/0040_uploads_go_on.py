"""Imports know which file they began, and videos when their source was taken in."""

from storage.migrations.plain_sql import run_sql

revision = "0040_uploads_go_on"
down_revision = "0039_recorded_rungs"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0040_uploads_go_on.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0040_uploads_go_on.down.sql")
