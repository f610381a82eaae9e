"""Who is calling: what an access token says about a person."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass


class Role(enum.StrEnum):
    """What a person is on this site, each including the ones before it."""

    USER = "user"
    CREATOR = "creator"
    MODERATOR = "moderator"
    ADMIN = "admin"


@dataclass(frozen=True)
class Identity:
    """A person and the session their token belongs to."""

    user_id: uuid.UUID
    session_id: uuid.UUID
    username: str
    role: Role = Role.USER
    plan: str = "free"
