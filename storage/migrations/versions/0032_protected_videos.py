"""A video says whether what plays of it is encrypted."""

from storage.migrations.plain_sql import run_sql

revision = "0032_protected_videos"
down_revision = "0031_piece_losses"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0032_protected_videos.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0032_protected_videos.down.sql")
