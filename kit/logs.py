"""Structured logs: one JSON line per event, on standard error; configured once per process."""

from __future__ import annotations

import logging
import sys

import structlog

SECRET_WORDS = ("password", "token", "secret", "authorization", "cookie", "stream_key", "dsn")
Log = structlog.stdlib.BoundLogger


def _mask_secrets(
    _logger: object, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Replace values whose key names a secret: a second line of defence, not a licence."""
    for key in event:
        if any(word in key.lower() for word in SECRET_WORDS):
            event[key] = "***"
    return event


def configure_logs(level: str = "info") -> None:
    """Send structlog's events to standard error as JSON lines from `level` up."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _mask_secrets,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def get_log(name: str) -> Log:
    """Return a logger that names its part of the product in the field `part`."""
    log: Log = structlog.get_logger(part=name)
    return log
