"""Rules of playlists: who sees and changes them, how many, and in which order. Never commits."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from kit.cursors import CursorMalformed, Page, cut_page, decode_cursor, read_id_cursor
from kit.errors import Conflict, NotFound, PermissionDenied
from kit.ids import make_id
from serve_apps.access.identity import Identity
from serve_apps.access.visibility import Visibility
from serve_apps.videos.service import get_video
from storage import playlists
from storage.database import Connection
from storage.playlists import NewPlaylist, PlacedVideo, Playlist, PlaylistChange, PlaylistSlice
from storage.users import find_card

PLAYLISTS_MAX = 200
VIDEOS_MAX = 500
PLACE_MAX = (1 << 31) - 1
WATCH_LATER = "watch_later"


class PlaylistNotFound(NotFound):
    """No such playlist, or not for this caller."""

    code, message = "playlist_not_found", "There is no such playlist."


class PlaylistOwnerNotFound(NotFound):
    """Nobody has this name."""

    code, message = "user_not_found", "There is nobody with this name."


class NotYourPlaylist(PermissionDenied):
    """Only its owner changes a playlist."""

    code, message = "not_your_playlist", "Only its owner may change this playlist."


class PlaylistFixed(Conflict):
    """The list to watch later keeps its name, stays private and is not deleted."""

    code, message = "playlist_fixed", "This list is part of your account and cannot be changed so."


class TooManyPlaylists(Conflict):
    """The person has as many playlists as they may; delete one."""

    code, message = "too_many_playlists", "You have as many playlists as you may; delete one first."


class PlaylistFull(Conflict):
    """The playlist holds as many videos as it may; remove one."""

    code, message = "playlist_full", "This playlist holds as many videos as it may."


async def create_playlist(connection: Connection, playlist: NewPlaylist) -> Playlist:
    """Write a playlist; raises TooManyPlaylists."""
    if await playlists.count_playlists(connection, playlist.owner_id) >= PLAYLISTS_MAX:
        raise TooManyPlaylists(playlists_max=PLAYLISTS_MAX)
    await playlists.insert_playlist(connection, playlist)
    return await _read_back(connection, playlist.id)


async def open_watch_later(connection: Connection, owner: Identity, now: datetime) -> Playlist:
    """Return what the caller keeps to watch later; made when it is first asked for."""
    known = await playlists.find_watch_later(connection, owner.user_id)
    if known is None:
        await playlists.insert_playlist(
            connection,
            NewPlaylist(
                make_id(), owner.user_id, WATCH_LATER, "Watch later", "", Visibility.PRIVATE, now
            ),
        )
        known = await playlists.find_watch_later(connection, owner.user_id)
    if known is None:  # the account was deleted while its token still counted
        raise PlaylistNotFound
    return known


async def get_playlist(
    connection: Connection, viewer: Identity | None, playlist_id: uuid.UUID
) -> Playlist:
    """Return a playlist; raises PlaylistNotFound also for those who may not see it."""
    playlist = await playlists.find_playlist(connection, playlist_id)
    is_own = playlist is not None and viewer is not None and viewer.user_id == playlist.owner_id
    if playlist is None or (playlist.visibility == Visibility.PRIVATE and not is_own):
        raise PlaylistNotFound
    return playlist


async def get_own_playlist(
    connection: Connection, caller: Identity, playlist_id: uuid.UUID
) -> Playlist:
    """Return the caller's playlist; raises PlaylistNotFound, NotYourPlaylist."""
    playlist = await get_playlist(connection, caller, playlist_id)
    if playlist.owner_id != caller.user_id:
        raise NotYourPlaylist
    return playlist


async def change_playlist(
    connection: Connection, caller: Identity, playlist_id: uuid.UUID, change: PlaylistChange
) -> Playlist:
    """Change the caller's playlist; raises also PlaylistFixed."""
    playlist = await get_own_playlist(connection, caller, playlist_id)
    if playlist.kind == WATCH_LATER:
        raise PlaylistFixed
    await playlists.change_playlist(connection, playlist_id, change)
    return await _read_back(connection, playlist_id)


async def delete_playlist(connection: Connection, caller: Identity, playlist_id: uuid.UUID) -> None:
    """Remove the caller's playlist; raises also PlaylistFixed."""
    playlist = await get_own_playlist(connection, caller, playlist_id)
    if playlist.kind == WATCH_LATER:
        raise PlaylistFixed
    await playlists.delete_playlist(connection, playlist_id)


async def place_video(
    connection: Connection,
    caller: Identity,
    playlist_id: uuid.UUID,
    video_id: uuid.UUID,
    position: int | None,
) -> Playlist:
    """Put a video at a place of the caller's playlist: a new one at the end when it is None.

    Raises VideoNotFound also for a video that the caller may not see, PlaylistFull.
    """
    await get_own_playlist(connection, caller, playlist_id)
    await get_video(connection, caller, video_id)
    order = await playlists.lock_order(connection, playlist_id)
    if video_id not in order and len(order) >= VIDEOS_MAX:
        raise PlaylistFull(videos_max=VIDEOS_MAX)
    await playlists.write_order(connection, playlist_id, place_in(order, video_id, position))
    return await _read_back(connection, playlist_id, video_id)


async def remove_video(
    connection: Connection, caller: Identity, playlist_id: uuid.UUID, video_id: uuid.UUID
) -> None:
    """Take a video out of the caller's playlist; again changes nothing."""
    await get_own_playlist(connection, caller, playlist_id)
    order = await playlists.lock_order(connection, playlist_id)
    if video_id in order:
        order.remove(video_id)
        await playlists.write_order(connection, playlist_id, order)


def place_in(
    order: Sequence[uuid.UUID], video_id: uuid.UUID, position: int | None
) -> list[uuid.UUID]:
    """Return the order with the video at `position`, counted without it; None leaves it.

    One that was not in it goes to the end for None; a place beyond the end is the end.
    """
    if position is None:
        return [*order] if video_id in order else [*order, video_id]
    others = [known for known in order if known != video_id]
    return [*others[:position], video_id, *others[position:]]


async def list_playlists(
    connection: Connection,
    owner: Identity,
    *,
    asked_video: uuid.UUID | None,
    cursor: str | None,
    limit: int,
) -> Page[Playlist]:
    """List the caller's own playlists, newest first; raises CursorMalformed."""
    part = PlaylistSlice(limit + 1, read_id_cursor(cursor), asked_video=asked_video)
    found = await playlists.list_playlists(connection, owner.user_id, part)
    return cut_page(found, limit, lambda playlist: (str(playlist.id),))


async def list_public_playlists(
    connection: Connection, username: str, *, cursor: str | None, limit: int
) -> Page[Playlist]:
    """List somebody's public playlists, newest first; raises PlaylistOwnerNotFound."""
    owner = await find_card(connection, username.lower())
    if owner is None:
        raise PlaylistOwnerNotFound
    part = PlaylistSlice(limit + 1, read_id_cursor(cursor), public_only=True)
    found = await playlists.list_playlists(connection, owner.id, part)
    return cut_page(found, limit, lambda playlist: (str(playlist.id),))


async def list_placed(
    connection: Connection,
    viewer: Identity | None,
    playlist_id: uuid.UUID,
    *,
    cursor: str | None,
    limit: int,
) -> Page[PlacedVideo]:
    """List those videos of a playlist that the viewer may see, in its order."""
    await get_playlist(connection, viewer, playlist_id)
    found = await playlists.list_placed(
        connection,
        viewer.user_id if viewer else None,
        playlist_id,
        after=read_place_cursor(cursor),
        limit=limit + 1,
    )
    return cut_page(found, limit, lambda placed: (placed.position,))


def read_place_cursor(cursor: str | None) -> int:
    """Read the cursor of a list sorted by place; raises CursorMalformed."""
    if cursor is None:
        return -1
    (place,) = decode_cursor(cursor, 1)
    if not isinstance(place, int) or abs(place) > PLACE_MAX:
        raise CursorMalformed
    return place


async def _read_back(
    connection: Connection, playlist_id: uuid.UUID, asked_video: uuid.UUID | None = None
) -> Playlist:
    playlist = await playlists.find_playlist(connection, playlist_id, asked_video)
    if playlist is None:  # the account was deleted while its token still counted
        raise PlaylistNotFound
    return playlist
