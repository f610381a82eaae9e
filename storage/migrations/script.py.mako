"""${message}"""

from storage.migrations.plain_sql import run_sql

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Apply the step."""
    run_sql("${up_revision}.up.sql")


def downgrade() -> None:
    """Take the step back."""
    run_sql("${up_revision}.down.sql")
