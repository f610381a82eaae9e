"""PostgreSQL and Valkey from installed wheels, one server per folder, for a laptop or a test.

`postgres` and `valkey` are the two doors; the other modules serve them. Plain synchronous code,
called by the command line's supervisor and by test fixtures; nothing here opens a database session.
"""
