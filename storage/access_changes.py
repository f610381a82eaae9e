"""Whose eyes something was hidden from, or shown to: heard by NOTIFY, found by a poll.

Triggers on `lives`, `posts`, `videos`, `follows`, `subscriptions` and `users` raise a version and
tell it under the name of the channel that the change concerns: `user` is whoever stopped following
somebody, subscribes no more, or chose anew who sees whether they are there. Of ready videos
`playback` tells whatever else plays than before, too, which ends no grant. Edges listen.
"""

from __future__ import annotations

import uuid

import msgspec

from storage.database import Connection, read_rows

CHANNEL = "access_changes"
"""NOTIFY: `<kind>:<id> <version>`, sent when visibility, deletion, a follow or such changed."""
PLAYBACK = "playback"
"""What `storage.video_playback` reads of a video that was ready has changed."""


class AccessChange(msgspec.Struct, frozen=True):
    """A thing (`room`, `post`, `video`) or a person (`user`), and the version of who sees what.

    Of `playback`: a video, and the version of what plays.
    """

    kind: str
    id: uuid.UUID
    version: int


async def list_access_changes(connection: Connection, within_s: float) -> list[AccessChange]:
    """Return what was hidden, shown, deleted or plays otherwise within so long."""
    rows = await connection.fetch(
        """
        SELECT 'room' AS kind, id, access_version AS version FROM lives
        WHERE access_changed_at > clock_timestamp() - $1 * interval '1 second'
        UNION ALL SELECT 'post', id, access_version FROM posts
        WHERE access_changed_at > clock_timestamp() - $1 * interval '1 second'
        UNION ALL SELECT 'video', id, access_version FROM videos
        WHERE access_changed_at > clock_timestamp() - $1 * interval '1 second'
        UNION ALL SELECT 'playback', id, playback_version FROM videos
        WHERE playback_changed_at > clock_timestamp() - $1 * interval '1 second'
        UNION ALL SELECT 'user', id, access_version FROM users
        WHERE access_changed_at > clock_timestamp() - $1 * interval '1 second'
        """,
        within_s,
    )
    return read_rows(AccessChange, rows)


def read_notice(payload: str) -> AccessChange:
    """Read what the triggers send; raises ValueError for anything else."""
    name, _, version = payload.partition(" ")
    kind, _, thing_id = name.partition(":")
    return AccessChange(kind, uuid.UUID(thing_id), int(version))
