"""What the users API gives."""

from __future__ import annotations

import uuid

from pydantic import BaseModel, ConfigDict, Field

from kit.clock import format_time
from storage.users import Profile


class ProfileCounters(BaseModel):
    """Numbers on a profile; they follow a change within about a second."""

    followers: int
    following: int
    posts: int


class ProfileBody(BaseModel):
    """A person as others see them; the flags are about you."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d11",
                    "username": "ada",
                    "display_name": "Ada",
                    "bio": "Engines and poetry.",
                    "created_at": "2026-01-01T12:00:00.000Z",
                    "counters": {"followers": 12, "following": 3, "posts": 40},
                    "is_following": True,
                    "follows_you": False,
                    "is_subscribed": False,
                    "is_you": False,
                }
            ]
        }
    )

    id: uuid.UUID
    username: str
    display_name: str
    bio: str
    created_at: str
    counters: ProfileCounters
    is_following: bool
    follows_you: bool
    is_subscribed: bool = Field(description="Whether you subscribe to them.")
    is_you: bool


class FollowBody(BaseModel):
    """How you stand to a person now."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"username": "ada", "is_following": True}]}
    )

    username: str
    is_following: bool


def describe_profile(profile: Profile, viewer_id: uuid.UUID | None) -> ProfileBody:
    """Write a profile as an answer."""
    return ProfileBody(
        id=profile.id,
        username=profile.username,
        display_name=profile.display_name,
        bio=profile.bio,
        created_at=format_time(profile.created_at),
        counters=ProfileCounters(
            followers=profile.followers, following=profile.following, posts=profile.posts
        ),
        is_following=profile.is_following,
        follows_you=profile.follows_you,
        is_subscribed=profile.is_subscribed,
        is_you=profile.id == viewer_id,
    )
