"""What the product logs inside a simulation: silence, except for errors that nothing explains."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

UNEXPECTED = {"object.keeper_failed", "host.task_failed", "link.owner_failed"}
"""Events that tell of a mistake in the code, whatever befell the site."""


class Ear:
    """The least that a logger can be: it hears unexpected errors, and nothing else."""

    def __init__(self, errors: list[str]) -> None:
        self._errors = errors

    def bind(self) -> Ear:
        """Return this logger: nobody asks for the fields that are bound."""
        return self

    def debug(self, event: str, **facts: object) -> None:
        """Drop what is no error."""

    info = warning = debug

    def error(self, event: str, **facts: object) -> None:
        """Keep an error that nothing explains."""
        if event in UNEXPECTED:
            self._errors.append(repr({"event": event, **facts}))

    exception = error


@contextmanager
def hearing_errors(note: Callable[[str], None] | None = None) -> Iterator[list[str]]:
    """Collect unexpected errors, and tell `note` of everything logged in each process."""
    errors: list[str] = []

    def hear(_logger: object, _name: str, event: structlog.typing.EventDict) -> Any:
        if event["event"] in UNEXPECTED:
            errors.append(repr(event))
        if note is not None:
            loop = asyncio._get_running_loop()
            facts = " ".join(f"{key}={value}" for key, value in event.items() if key != "event")
            note(f"{getattr(loop, 'name', '?')} logs {event['event']} {facts}")
        raise structlog.DropEvent

    before = structlog.get_config()
    ear = Ear(errors)
    make_logger: Any = lambda *_parts, **_more: ear  # noqa: E731 -- of any type, for structlog
    if note is not None:
        make_logger = structlog.make_filtering_bound_logger(logging.INFO)
    structlog.configure(
        processors=[hear],
        wrapper_class=make_logger,
        logger_factory=lambda *_names: None,
        cache_logger_on_first_use=False,
    )
    try:
        yield errors
    finally:
        structlog.configure(**before)
