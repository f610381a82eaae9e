"""What an edge keeps of media sessions until the forwarding plane tells that they are over."""

from __future__ import annotations

import pytest

from kit.ids import make_id
from serve_apps.edge.media_sessions import MediaSession, MediaSessions

pytestmark = pytest.mark.unit


def test_only_who_never_connected_is_forgotten_without_a_word() -> None:
    """Of a publisher that is gone the room hears when the forwarding plane tells, a turn later."""
    sessions = MediaSessions({}, lambda: False)
    room_id = make_id()
    sessions._sessions = {
        "gone": MediaSession(room_id, "publisher", None, None, is_connected=True),
        "here": MediaSession(room_id, "viewer", None, None),
        "never": MediaSession(room_id, "viewer", None, None),
    }
    sessions.forget_unconnected(frozenset({"here"}))
    assert set(sessions._sessions) == {"gone", "here"}
