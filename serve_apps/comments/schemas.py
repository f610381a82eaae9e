"""What the comments API takes and gives; the live events give the same shape."""

from __future__ import annotations

import uuid
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kit.clock import format_time
from serve_apps.http.schemas import PersonBody
from serve_apps.posts.schemas import EXAMPLE_ID, EXAMPLE_PERSON, Text
from storage.comments import CommentRow

EXAMPLE_COMMENT: dict[str, JsonValue] = {
    "id": "01980f60-3333-7d3e-9f10-2b6f0c9a4d14",
    "post_id": EXAMPLE_ID,
    "video_id": None,
    "parent_id": None,
    "author": EXAMPLE_PERSON,
    "text": "How beautiful!",
    "created_at": "2026-01-01T12:01:00.000Z",
    "edited_at": None,
    "pinned": False,
    "likes": 2,
    "replies": 1,
    "liked": True,
}


class CommentRequest(BaseModel):
    """A new comment, or a reply to one."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "How beautiful!"}]}
    )

    text: Annotated[Text, Field(min_length=1)]
    reply_to: uuid.UUID | None = Field(
        default=None, description="The comment or reply that this answers."
    )


class CommentChangeRequest(BaseModel):
    """Another text for a comment."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "How very beautiful!"}]}
    )

    text: Annotated[Text, Field(min_length=1)]


class CommentBody(BaseModel):
    """A comment below a post or a video; `liked` is about you."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_COMMENT]})

    id: uuid.UUID
    post_id: uuid.UUID | None
    video_id: uuid.UUID | None
    parent_id: uuid.UUID | None = Field(description="The comment whose thread this reply is in.")
    author: PersonBody
    text: str
    created_at: str
    edited_at: str | None
    pinned: bool
    likes: int
    replies: int
    liked: bool


def describe_comment(comment: CommentRow) -> CommentBody:
    """Write a comment as an answer."""
    return CommentBody(
        id=comment.id,
        post_id=comment.post_id,
        video_id=comment.video_id,
        parent_id=comment.parent_id,
        author=PersonBody(
            id=comment.author_id,
            username=comment.author_username,
            display_name=comment.author_display_name,
        ),
        text=comment.text,
        created_at=format_time(comment.created_at),
        edited_at=None if comment.edited_at is None else format_time(comment.edited_at),
        pinned=comment.is_pinned,
        likes=comment.likes,
        replies=comment.replies,
        liked=comment.is_liked,
    )
