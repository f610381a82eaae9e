"""Lists of videos in an order of somebody's own."""

from storage.migrations.plain_sql import run_sql

revision = "0017_playlists"
down_revision = "0016_history"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0017_playlists.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0017_playlists.down.sql")
