"""What edges and the job runner say to a person's session.

They travel inside the runtime's messages (`actors/hosting/messages.py`), which name the person.
"""

from __future__ import annotations

import uuid
from typing import Any

from actors.hosting.messages import Message


class SocketsReport(Message, frozen=True):
    """The person's open sockets at this edge, by login; none: the person is not here any more.

    Not `is_attended`: every page behind them was left, for another window or for good.
    """

    logins: dict[str, int]
    is_attended: bool = True


class ActivityReport(Message, frozen=True):
    """The person did something just now."""


class Deliver(Message, frozen=True):
    """Tell the person of something; `event_id` makes a repeat recognisable."""

    event_id: uuid.UUID
    kind: str
    data: dict[str, Any]
