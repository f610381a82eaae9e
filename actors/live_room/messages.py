"""What edges and the API may ask of a room, and what a room tells one edge alone.

They travel inside the runtime's messages (`actors/hosting/messages.py`), which name the room.
"""

from __future__ import annotations

from typing import Any

from actors.hosting.messages import Message
from actors.live_room.entries import Speaker

# From an edge


class ChatSend(Message, frozen=True):
    """A line somebody wants to write; `client_id` makes repeats recognisable."""

    speaker: Speaker
    client_id: str
    text: str


class TypingSend(Message, frozen=True):
    """Somebody is writing."""

    speaker: Speaker


class ViewersReport(Message, frozen=True):
    """How many distinct watchers this edge has in the room."""

    viewers: int


class PublisherUp(Message, frozen=True):
    """Media enters here; `edge` is what others need to find it."""

    session_id: str
    edge: dict[str, Any]


class PublisherDown(Message, frozen=True):
    """Media stopped entering here."""

    session_id: str
    reason: str


# From the API


class LiveEnd(Message, frozen=True):
    """The owner ends the broadcast."""

    reason: str


# To an edge


class SessionEnd(Message, frozen=True):
    """Close this media session: the room is over or has a newer publisher."""

    session_id: str
