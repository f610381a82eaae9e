"""People subscribe to somebody's channel; videos, lives and posts can be for subscribers."""

from storage.migrations.plain_sql import run_sql

revision = "0035_subscriptions"
down_revision = "0034_recorded_aac"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0035_subscriptions.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0035_subscriptions.down.sql")
