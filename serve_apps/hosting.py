"""The host class with every kind of object, apart from the wiring of the rest.

A host's process imports this module and nothing of the features, the API or the edge: that is half
of what it would weigh otherwise.
"""

from __future__ import annotations

from actors.feed_ranker.kind import FEED_KIND
from actors.hosting.core import Kind
from actors.hosting.shell import HostShell
from actors.live_room.kind import ROOM_KIND, make_room_kind
from actors.live_room.site_rules import make_site_moderation
from actors.user_session.kind import USER_KIND
from kit.settings import Settings, load_settings

KINDS = (ROOM_KIND, USER_KIND, FEED_KIND)
"""Every kind of object that hosts run, as those know them who ask."""


def make_kinds(settings: Settings) -> tuple[Kind, ...]:
    """Return the kinds as hosts run them: the site's moderation looks at what rooms' guests say."""
    moderation = make_site_moderation(settings.limits)
    return (make_room_kind(moderation), USER_KIND, FEED_KIND)


class Host(HostShell):
    """A host that runs objects of every kind."""

    def __init__(self, host_id: str) -> None:
        settings = load_settings()
        super().__init__(host_id, make_kinds(settings), settings)
