"""What jobs and event listeners are given, and the shapes they have.

Features write handlers against these; `serve_apps/runners.py` alone composes them; `runner.py` runs
them. Handlers run at least once: each is safe to repeat.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from actors.job_runner.media_queue import MediaQueue
from kit.clock import Clock
from kit.events import Event, EventName
from kit.settings import Settings
from storage.cache import Cache
from storage.database import Database
from storage.objects import ObjectStore


class People(Protocol):
    """Telling people something on their own channel; `actors/user_session` has the real one."""

    async def deliver(
        self, user_id: uuid.UUID, event_id: uuid.UUID, kind: str, data: dict[str, Any]
    ) -> object:
        """Return once it is stored; a repeat of the event id is stored once."""
        ...


@dataclass(frozen=True)
class Speech:
    """A source whose words are wanted; `language` is what its owner says is spoken, if they do."""

    video_id: uuid.UUID
    source_key: str
    language: str | None


@dataclass(frozen=True)
class Captions:
    """What is said, as SRT or WebVTT; `label` is what the language is called in the menu."""

    language: str
    label: str
    text: str


class Captioner(Protocol):
    """Whoever writes down what is said in a video: a model, or nobody."""

    @property
    def is_there(self) -> bool:
        """Whether it is worth asking."""
        ...

    async def write_down(self, speech: Speech) -> Captions | None:
        """Return what is said; None when nothing is. May take minutes; raises what is retried."""
        ...


class NobodyListens:
    """The port of an installation without such a model: no video is asked about."""

    is_there = False

    async def write_down(self, _speech: Speech) -> Captions | None:
        """Return nothing."""
        return None


@dataclass(frozen=True)
class JobPorts:
    """Everything outside that a handler may use; the runner's shell opens and closes it."""

    settings: Settings
    database: Database
    cache: Cache
    objects: ObjectStore
    media: MediaQueue
    clock: Clock
    people: People
    captions: Captioner = field(default_factory=NobodyListens)


JobHandler = Callable[[JobPorts, bytes], Awaitable[None]]
GiveUp = Callable[[JobPorts, bytes, Exception], Awaitable[None]]
EventHandler = Callable[[JobPorts, Event], Awaitable[None]]


@dataclass(frozen=True)
class JobSpec:
    """A handler with its limits. `give_up` is told before a job that keeps failing is held."""

    handle: JobHandler
    concurrency_max: int = 8
    """At a time, over all runners."""
    attempts_max: int = 8
    give_up: GiveUp | None = None


@dataclass(frozen=True)
class Listener:
    """A handler of events and the names it wants."""

    events: frozenset[EventName]
    handle: EventHandler
