"""Placements have numbers: what is given up late is not taken from a newer owner."""

from storage.migrations.plain_sql import run_sql

revision = "0011_placement_numbers"
down_revision = "0010_follow_ends"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0011_placement_numbers.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0011_placement_numbers.down.sql")
