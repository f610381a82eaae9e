"""What the shapes of events are made of, whatever kind of object tells them. Shapes alone."""

from __future__ import annotations

import msgspec


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A shape takes what it names and nothing else."""


class Person(Shape, frozen=True):
    """A person in a line."""

    id: str
    username: str
    display_name: str
