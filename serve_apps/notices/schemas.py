"""What the notices API takes and gives; an item is what the socket's `notification` carries."""

from __future__ import annotations

import uuid
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kit.clock import format_time
from kit.cursors import NUMBER_MAX
from serve_apps.http.schemas import ItemPage, PersonBody
from storage.user_entries import UserEntry

EXAMPLE_ID = "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d11"


class NoticeBody(BaseModel):
    """Something somebody was told; which of the last fields there are depends on its kind."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "offset": 7,
                    "kind": "comment",
                    "created_at": "2026-01-01T12:00:00.000Z",
                    "user": {"id": EXAMPLE_ID, "username": "ada", "display_name": "Ada"},
                    "post_id": EXAMPLE_ID,
                    "video_id": None,
                    "comment_id": EXAMPLE_ID,
                    "text": "Well said.",
                    "live_id": None,
                    "title": None,
                    "until": None,
                }
            ]
        }
    )

    id: uuid.UUID
    offset: int = Field(description="Where it stands in the channel `user:{id}`.")
    kind: Literal["follow", "like", "comment", "live", "video", "subscription", "takedown"]
    created_at: str
    user: PersonBody
    post_id: uuid.UUID | None = None
    video_id: uuid.UUID | None = None
    comment_id: uuid.UUID | None = None
    text: str | None = None
    live_id: uuid.UUID | None = None
    title: str | None = None
    until: str | None = None


class NoticePage(ItemPage[NoticeBody]):
    """What you were told, newest first, and how much of it you have not seen."""

    unseen: int = Field(examples=[3], description="At most 100 are counted.")


class SeenRequest(BaseModel):
    """Up to where you have seen what you were told."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"offset": 7}]})

    offset: int = Field(ge=0, le=NUMBER_MAX)


class SeenBody(BaseModel):
    """Where you stand now."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"offset": 7, "unseen": 0}]})

    offset: int
    unseen: int


def describe_notice(entry: UserEntry) -> NoticeBody:
    """Write an entry as an answer."""
    return NoticeBody(
        id=entry.id,
        offset=entry.seq,
        kind=entry.body["kind"],
        created_at=format_time(entry.created_at),
        **entry.body["data"],
    )
