"""What the playlists API takes and gives."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from kit.clock import format_time
from serve_apps.videos.playlist_service import VIDEOS_MAX
from serve_apps.videos.schemas import EXAMPLE_VIDEO, OwnerBody
from storage.playlists import Playlist

TITLE_CHARS_MAX = 150
DESCRIPTION_CHARS_MAX = 2000

PlaylistVisibility = Literal["public", "unlisted", "private"]
PlaylistTitle = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=TITLE_CHARS_MAX)
]
PlaylistDescription = Annotated[str, StringConstraints(max_length=DESCRIPTION_CHARS_MAX)]
EXAMPLE_PLAYLIST: dict[str, JsonValue] = {
    "id": "01980f66-4444-7d3e-9f10-2b6f0c9a4d15",
    "kind": "made",
    "title": "Mornings",
    "description": "All filmed before six.",
    "visibility": "public",
    "owner": EXAMPLE_VIDEO["owner"],
    "videos": 12,
    "has_video": False,
    "created_at": "2026-01-01T12:00:00.000Z",
}


class PlaylistRequest(BaseModel):
    """A new playlist."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"title": "Mornings", "visibility": "public"}]},
    )

    title: PlaylistTitle
    description: PlaylistDescription = ""
    visibility: PlaylistVisibility = "private"


class PlaylistChangeRequest(BaseModel):
    """Changes what is given and leaves the rest."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"visibility": "unlisted"}]}
    )

    title: PlaylistTitle | None = None
    description: PlaylistDescription | None = None
    visibility: PlaylistVisibility | None = None


class PlaceRequest(BaseModel):
    """Where in the playlist the video goes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"position": 0}]})

    position: int | None = Field(
        default=None,
        ge=0,
        le=VIDEOS_MAX,
        description="Its place from 0; null: where it is, or for a new one the end.",
    )


class PlaylistBody(BaseModel):
    """A playlist; `videos` counts all that are in it."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_PLAYLIST]})

    id: uuid.UUID
    kind: Literal["made", "watch_later"]
    title: str
    description: str
    visibility: PlaylistVisibility
    owner: OwnerBody
    videos: int
    has_video: bool = Field(description="Whether the video you asked about is in it.")
    created_at: str


def describe_playlist(playlist: Playlist) -> PlaylistBody:
    """Write a playlist as an answer."""
    return PlaylistBody.model_validate(
        {
            "id": playlist.id,
            "kind": playlist.kind,
            "title": playlist.title,
            "description": playlist.description,
            "visibility": playlist.visibility,
            "owner": {
                "id": playlist.owner_id,
                "username": playlist.owner_username,
                "display_name": playlist.owner_display_name,
            },
            "videos": playlist.videos,
            "has_video": playlist.has_video,
            "created_at": format_time(playlist.created_at),
        }
    )
