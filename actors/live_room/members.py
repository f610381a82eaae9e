"""Who is who in a room: owner, moderators, guests, and those who may not write. Pure."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from actors.live_room.entries import Speaker
from kit.errors import Conflict, PermissionDenied

MEMBERS_MAX = 10_000
MODERATORS_MAX = 100
SITE_MODERATOR = "moderator"
SITE_ADMIN = "admin"


class Rank(enum.IntEnum):
    """How far somebody's word reaches; acting on a person takes a higher one than theirs."""

    GUEST = 0
    MODERATOR = 1
    OWNER = 2


class RankTooLow(PermissionDenied):
    """The caller is not a moderator of this room, or not above the person they act on."""

    code, message = "room_rank_too_low", "You may not do this in this room."


class TooManyMembers(Conflict):
    """More moderators, or more people with a ban or a time-out, than a room keeps."""

    code, message = "too_many_members", "This room keeps no more of these; free some first."


@dataclass(frozen=True)
class Member:
    """What a room remembers of one person; a guest like any other is not remembered."""

    person: Speaker
    is_moderator: bool = False
    is_banned: bool = False
    timed_out_until: datetime | None = None

    def is_silenced(self, now: datetime) -> bool:
        """Whether the person may not write now."""
        return self.is_banned or (self.timed_out_until is not None and self.timed_out_until > now)

    def is_plain(self, now: datetime) -> bool:
        """Whether nothing needs to be remembered."""
        return not self.is_moderator and not self.is_silenced(now)


def decide_rank(person: Speaker, owner_id: uuid.UUID, members: Mapping[uuid.UUID, Member]) -> Rank:
    """Return a person's rank in a room; the site's moderators and admins have theirs everywhere."""
    if person.user_id == owner_id or person.role == SITE_ADMIN:
        return Rank.OWNER
    member = members.get(person.user_id)
    is_moderator = member is not None and member.is_moderator
    return Rank.MODERATOR if is_moderator or person.role == SITE_MODERATOR else Rank.GUEST


def check_rank(actual: Rank, needed: Rank) -> None:
    """Raise RankTooLow unless the rank suffices."""
    if actual < needed:
        raise RankTooLow


def check_above(actor: Rank, target: Rank) -> None:
    """Raise RankTooLow unless a moderator stands above the person they act on."""
    check_rank(actor, Rank.MODERATOR)
    if actor <= target:
        raise RankTooLow("You may not do this to the owner or to a fellow moderator.")
