"""People can be banned, and every privileged act is on record."""

from storage.migrations.plain_sql import run_sql

revision = "0004_trust"
down_revision = "0003_social"


def upgrade() -> None:
    """Apply the step."""
    run_sql("0004_trust.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("0004_trust.down.sql")
