"""Videos are published at a time that their owner chose; lists place them there."""

from storage.migrations.plain_sql import run_sql

revision = "0027_publication"
down_revision = "0026_video_left_out"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0027_publication.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0027_publication.down.sql")
