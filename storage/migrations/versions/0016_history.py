"""What people watched, how far they came, and whether it is remembered."""

from storage.migrations.plain_sql import run_sql

revision = "0016_history"
down_revision = "0015_upload_extensions"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0016_history.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0016_history.down.sql")
