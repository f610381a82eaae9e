"""Whether somebody may write a line now, and whether it is shown at once. Pure.

Moderators and the owner are bound only by being heard at a human pace (`chat.PaceBook`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from actors.hosting.entries import Entry
from actors.live_room.chat_state import CHAT_MESSAGE, MESSAGE_HELD, ChatState
from actors.live_room.messages import ChatSend, Membership
from kit.errors import AppError, PermissionDenied, RateLimited

SPEAKERS_MAX = 10_000


class Banned(PermissionDenied):
    """The person may not write in this room."""

    code, message = "room_banned", "You are banned from this chat."


class TimedOut(PermissionDenied):
    """The person may not write in this room for a while."""

    code, message = "room_timed_out", "You may not write here for a while."


class FollowersOnly(PermissionDenied):
    """Only people who have followed the owner for long enough may write."""

    code, message = "followers_only", "This chat is for followers."


class FollowTooFresh(PermissionDenied):
    """The person follows the owner, but not yet for long enough."""

    code, message = "follow_too_fresh", "You have not followed for long enough to write here."


class SubscribersOnly(PermissionDenied):
    """Only people who subscribed to the owner may write."""

    code, message = "subscribers_only", "This chat is for subscribers."


class SlowMode(RateLimited):
    """The person's last line is too recent for this room's slow mode."""

    code, message = "slow_mode", "This chat is in slow mode; wait before your next line."


class WordRefused(PermissionDenied):
    """The line has a word that this room does not want."""

    code, message = "word_refused", "This line has a word that is not welcome here."


class MembershipNeeded(AppError):
    """The rules ask who follows or subscribes: ask again and say so. Never seen by people."""

    code, status, message = "membership_needed", 409, "Say what the person is to the owner."


def check_silence(state: ChatState, user_id: uuid.UUID, now: datetime) -> None:
    """Raise Banned or TimedOut when the person may not write."""
    member = state.members.get(user_id)
    if member is None:
        return
    if member.is_banned:
        raise Banned
    until = member.timed_out_until
    if until is not None and until > now:
        raise TimedOut(retry_after_s=_whole_seconds(until - now))


def check_membership(state: ChatState, membership: Membership | None, now: datetime) -> None:
    """Raise unless the rules let a person with this membership write."""
    rules = state.rules
    if not (rules.followers_only or rules.subscribers_only):
        return
    if membership is None:
        raise MembershipNeeded
    if rules.subscribers_only and not membership.is_subscriber:
        raise SubscribersOnly
    if rules.followers_only:
        since = membership.follows_since
        if since is None:
            raise FollowersOnly
        ripe_at = since + timedelta(seconds=rules.follow_age_min_s)
        if ripe_at > now:
            raise FollowTooFresh(retry_after_s=_whole_seconds(ripe_at - now))


class SlowBook:
    """When each person last wrote, by wall clock: it is rebuilt from recent entries."""

    def __init__(self, history: Iterable[Entry]) -> None:
        self._last: dict[uuid.UUID, tuple[datetime, str]] = {}
        for entry in history:
            if entry.kind in (CHAT_MESSAGE, MESSAGE_HELD) and entry.sender is not None:
                user_id, client_id = entry.sender
                self._last[user_id] = (entry.created_at, client_id)

    def check(self, line: ChatSend, slow_mode_s: int, now: datetime) -> None:
        """Raise SlowMode within the window; the same line sent again waits for nothing.

        A former owner's clock may have been ahead of ours: nobody waits longer than the window.
        """
        last = self._last.get(line.speaker.user_id)
        if slow_mode_s == 0 or last is None or last[1] == line.client_id:
            return
        free_at = min(last[0], now) + timedelta(seconds=slow_mode_s)
        if free_at > now:
            raise SlowMode(retry_after_s=_whole_seconds(free_at - now))

    def note(self, line: ChatSend, now: datetime) -> None:
        """Remember that this person wrote now; the oldest are forgotten beyond a bound."""
        self._last.pop(line.speaker.user_id, None)
        self._last[line.speaker.user_id] = (now, line.client_id)
        while len(self._last) > SPEAKERS_MAX:
            del self._last[next(iter(self._last))]


def _whole_seconds(span: timedelta) -> int:
    return max(1, int(-(-span.total_seconds() // 1)))
