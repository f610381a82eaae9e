"""The host class with every kind of object, apart from the wiring of the rest.

A host's process imports this module and nothing of the features, the API or the edge: that is half
of what it would weigh otherwise.
"""

from __future__ import annotations

from actors.feed_ranker.kind import FEED_KIND
from actors.hosting.shell import HostShell
from actors.live_room.kind import ROOM_KIND
from actors.user_session.kind import USER_KIND

KINDS = (ROOM_KIND, USER_KIND, FEED_KIND)
"""Every kind of object that hosts run."""


class Host(HostShell):
    """A host that runs objects of every kind."""

    def __init__(self, host_id: str) -> None:
        super().__init__(host_id, KINDS)
