"""Uploads whose length comes later, that are parts of one file, and files that came before."""

from storage.migrations.plain_sql import run_sql

revision = "0015_upload_extensions"
down_revision = "0014_follow_ends_told"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0015_upload_extensions.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0015_upload_extensions.down.sql")
