"""Videos are published at a time that their owner chose; lists place them there."""

from storage.migrations.plain_sql import run_sql

revision = "0029_publication"
down_revision = "0025_video_likes"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0029_publication.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0029_publication.down.sql")
