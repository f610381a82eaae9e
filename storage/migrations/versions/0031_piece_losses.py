"""A piece of work remembers how many workers it lost, and how far it was."""

from storage.migrations.plain_sql import run_sql

revision = "0031_piece_losses"
down_revision = "0030_watch_countries"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0031_piece_losses.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0031_piece_losses.down.sql")
