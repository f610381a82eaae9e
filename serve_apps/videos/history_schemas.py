"""What the history API takes and gives."""

from __future__ import annotations

import uuid

from pydantic import BaseModel, ConfigDict, Field

from kit.clock import format_time
from serve_apps.videos.history_service import decide_resume
from serve_apps.videos.schemas import EXAMPLE_ID, EXAMPLE_VIDEO, VideoBody
from storage.history import Watched

POSITION_MS_MAX = 1 << 40


class PositionRequest(BaseModel):
    """Where in the video its viewer is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"position_ms": 61_500}]}
    )

    position_ms: int = Field(ge=0, le=POSITION_MS_MAX)


class PositionBody(BaseModel):
    """Whether the position is remembered: not while the history is paused."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"remembered": True}]})

    remembered: bool


class HistorySettingsRequest(BaseModel):
    """Pauses the history or goes on with it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"paused": True}]})

    paused: bool


class HistorySettingsBody(BaseModel):
    """Whether anything new is remembered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"paused": True}]})

    paused: bool


class HistoryEntryBody(BaseModel):
    """A video that you watched; `id` is the video's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "video": EXAMPLE_VIDEO,
                    "position_ms": 61_500,
                    "resume_ms": 61_500,
                    "finished": False,
                    "watched_at": "2026-01-01T12:30:00.000Z",
                }
            ]
        }
    )

    id: uuid.UUID
    video: VideoBody
    position_ms: int
    resume_ms: int = Field(description="Where it goes on: 0 when it begins anew.")
    finished: bool
    watched_at: str


def describe_entry(watched: Watched, video: VideoBody) -> HistoryEntryBody:
    """Write an entry as an answer."""
    return HistoryEntryBody(
        id=watched.video_id,
        video=video,
        position_ms=watched.position_ms,
        resume_ms=decide_resume(watched),
        finished=watched.is_finished,
        watched_at=format_time(watched.watched_at),
    )
