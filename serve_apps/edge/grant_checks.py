"""Which playback grants stopped counting before their time: one per edge, without a query.

A revoked login voids what was given to it. Somebody who lost a right (they stopped following, a
subscription ended) asks the API for every address anew, whose answer is by what they still may.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from serve_apps.access.grants import Grant
from serve_apps.edge.access_book import AccessBook
from serve_apps.edge.socket_words import ChannelKind, ChannelName


class GrantChecks:
    """Looks grants up in what this edge knows of logins and of people."""

    def __init__(self, is_revoked: Callable[[uuid.UUID], bool], changed: AccessBook) -> None:
        self._is_revoked = is_revoked
        self._changed = changed

    def is_void(self, grant: Grant) -> bool:
        """Say whether a grant has stopped counting."""
        if grant.session is not None and self._is_revoked(grant.session):
            return True
        if grant.viewer is None:
            return False
        person = ChannelName(ChannelKind.USER, grant.viewer)
        return grant.viewer_version < self._changed.get_version(person)
