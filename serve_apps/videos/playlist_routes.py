"""Routes of playlists: make, look, list, change, delete; put videos into them and in order."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Path, Query
from fastapi.responses import Response

from kit.cursors import CursorMalformed
from kit.ids import make_id
from serve_apps.access.permissions import Permission
from serve_apps.access.playback import make_terms
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import ItemPage, PageRequest
from serve_apps.http.state import CurrentUser, OptionalUser, Ports, Transaction
from serve_apps.videos import playlist_service as service
from serve_apps.videos.playback import build_playback
from serve_apps.videos.playlist_schemas import (
    EXAMPLE_PLAYLIST,
    PlaceRequest,
    PlaylistBody,
    PlaylistChangeRequest,
    PlaylistRequest,
    describe_playlist,
)
from serve_apps.videos.schemas import VideoBody, describe_video
from serve_apps.videos.service import VideoNotFound
from storage.playlists import NewPlaylist, PlaylistChange

routes = Routes("", "playlists")
OWN = (service.PlaylistNotFound, service.NotYourPlaylist)


@routes.post(
    "/playlists",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Make a playlist.",
    status=201,
    repeatable=True,
    errors=(service.TooManyPlaylists,),
)
async def create_playlist(
    body: PlaylistRequest, user: CurrentUser, ports: Ports, connection: Transaction
) -> PlaylistBody:
    """Make a playlist."""
    playlist = NewPlaylist(
        make_id(),
        user.user_id,
        "made",
        body.title,
        body.description,
        body.visibility,
        ports.clock.now(),
    )
    return describe_playlist(await service.create_playlist(connection, playlist))


@routes.get(
    "/playlists",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="List your own playlists, newest first.",
    errors=(CursorMalformed,),
)
async def list_playlists(
    user: CurrentUser,
    query: PageRequest,
    connection: Transaction,
    video_id: Annotated[
        uuid.UUID | None, Query(description="Ask of each whether this video is in it.")
    ] = None,
) -> ItemPage[PlaylistBody]:
    """List playlists."""
    page = await service.list_playlists(
        connection, user, asked_video=video_id, cursor=query.cursor, limit=query.limit
    )
    return ItemPage(
        items=[describe_playlist(it) for it in page.items], next_cursor=page.next_cursor
    )


@routes.put(
    "/playlists/watch-later",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Find what you keep to watch later; the list is made when it is first asked for.",
    example={
        **EXAMPLE_PLAYLIST,
        "kind": "watch_later",
        "title": "Watch later",
        "visibility": "private",
    },
    errors=(service.PlaylistNotFound,),
)
async def open_watch_later(
    user: CurrentUser, ports: Ports, connection: Transaction
) -> PlaylistBody:
    """Find the list to watch later."""
    now = ports.clock.now()
    return describe_playlist(await service.open_watch_later(connection, user, now))


@routes.get(
    "/playlists/{playlist_id}",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="Look at a playlist.",
    errors=(service.PlaylistNotFound,),
)
async def get_playlist(
    playlist_id: uuid.UUID, viewer: OptionalUser, connection: Transaction
) -> PlaylistBody:
    """Look at a playlist."""
    return describe_playlist(await service.get_playlist(connection, viewer, playlist_id))


@routes.patch(
    "/playlists/{playlist_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Change the title, the description or who may see your playlist.",
    errors=(*OWN, service.PlaylistFixed),
)
async def change_playlist(
    playlist_id: uuid.UUID,
    body: PlaylistChangeRequest,
    user: CurrentUser,
    connection: Transaction,
) -> PlaylistBody:
    """Change a playlist."""
    change = PlaylistChange(body.title, body.description, body.visibility)
    return describe_playlist(await service.change_playlist(connection, user, playlist_id, change))


@routes.delete(
    "/playlists/{playlist_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Delete your playlist; its videos stay.",
    status=204,
    response_class=Response,
    errors=(*OWN, service.PlaylistFixed),
)
async def delete_playlist(
    playlist_id: uuid.UUID, user: CurrentUser, connection: Transaction
) -> None:
    """Delete a playlist."""
    await service.delete_playlist(connection, user, playlist_id)


@routes.get(
    "/playlists/{playlist_id}/videos",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="List those videos of a playlist that you may see, in its order.",
    errors=(service.PlaylistNotFound, CursorMalformed),
)
async def list_playlist_videos(
    playlist_id: uuid.UUID,
    viewer: OptionalUser,
    query: PageRequest,
    ports: Ports,
    connection: Transaction,
) -> ItemPage[VideoBody]:
    """List a playlist's videos."""
    terms = await make_terms(connection, ports.settings, viewer, ports.clock.now())
    page = await service.list_placed(
        connection, viewer, playlist_id, cursor=query.cursor, limit=query.limit
    )
    return ItemPage(
        items=[describe_video(it.video, build_playback(it.video, terms)) for it in page.items],
        next_cursor=page.next_cursor,
    )


@routes.put(
    "/playlists/{playlist_id}/videos/{video_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Put a video into your playlist, or at another place of it.",
    errors=(*OWN, VideoNotFound, service.PlaylistFull),
)
async def place_video(
    playlist_id: uuid.UUID,
    video_id: uuid.UUID,
    body: PlaceRequest,
    user: CurrentUser,
    connection: Transaction,
) -> PlaylistBody:
    """Put a video into a playlist."""
    return describe_playlist(
        await service.place_video(connection, user, playlist_id, video_id, body.position)
    )


@routes.delete(
    "/playlists/{playlist_id}/videos/{video_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Take a video out of your playlist; doing it again changes nothing.",
    status=204,
    response_class=Response,
    errors=OWN,
)
async def remove_video(
    playlist_id: uuid.UUID, video_id: uuid.UUID, user: CurrentUser, connection: Transaction
) -> None:
    """Take a video out of a playlist."""
    await service.remove_video(connection, user, playlist_id, video_id)


@routes.get(
    "/users/{username}/playlists",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="List a person's public playlists, newest first.",
    errors=(service.PlaylistOwnerNotFound, CursorMalformed),
)
async def list_person_playlists(
    username: Annotated[str, Path(pattern="^[A-Za-z0-9_]{1,30}$", examples=["ada"])],
    query: PageRequest,
    connection: Transaction,
) -> ItemPage[PlaylistBody]:
    """List a person's playlists."""
    page = await service.list_public_playlists(
        connection, username, cursor=query.cursor, limit=query.limit
    )
    return ItemPage(
        items=[describe_playlist(it) for it in page.items], next_cursor=page.next_cursor
    )
