"""The job queue's tables, installed by pgqueuer itself."""

from alembic import op
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from sqlalchemy import util

from storage.migrations.plain_sql import get_driver_connection

revision = "0002_jobs"
down_revision = "0001_foundation"


def upgrade() -> None:
    """Apply the step."""
    queries = Queries(AsyncpgDriver(get_driver_connection(op.get_bind())))
    util.await_only(queries.install())


def downgrade() -> None:
    """Take the step back."""
    queries = Queries(AsyncpgDriver(get_driver_connection(op.get_bind())))
    util.await_only(queries.uninstall())
