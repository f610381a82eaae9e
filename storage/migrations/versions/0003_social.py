"""Recently revoked sessions are found by an index."""

from storage.migrations.plain_sql import run_sql

revision = "0003_social"
down_revision = "0002_jobs"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0003_social.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0003_social.down.sql")
