"""The foundation: people, videos, posts, lives, ownership, outbox."""

from storage.migrations.plain_sql import run_sql

revision = "0001_foundation"
down_revision = None


def upgrade() -> None:
    """Apply the step."""
    run_sql("0001_foundation.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0001_foundation.down.sql")
