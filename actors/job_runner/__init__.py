"""The job runner: runs queued jobs and hands outbox events to their listeners."""
