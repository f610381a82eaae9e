"""Schema changes: plain SQL files run by alembic; `storage/schema.py` is the only caller."""
