"""Taking somebody's live down: what becomes of it, of its recording, and who is told.

Routes and jobs call it inside a transaction they opened.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from kit.events import EventName
from kit.ids import make_id
from kit.settings import Settings
from serve_apps import deletions
from serve_apps.access.identity import Identity
from serve_apps.live.service import LiveNotFound
from storage.audit import AuditDraft, append_audit
from storage.database import Connection
from storage.events import append_event
from storage.lives import LiveRow, delete_live, find_live, lock_live


@dataclass(frozen=True)
class TakedownOrder:
    """Which live goes, who says so, and why."""

    live_id: uuid.UUID
    moderator: Identity
    reason: str
    now: datetime


async def take_down(connection: Connection, settings: Settings, order: TakedownOrder) -> LiveRow:
    """Take a live and its recording away, on record; returns it as it was. Raises LiveNotFound.

    The record alone names the moderator: events may be told to others.
    """
    await lock_live(connection, order.live_id)
    live = await find_live(connection, order.live_id)
    if live is None:
        raise LiveNotFound
    await delete_live(connection, live.id, takedown_reason=order.reason)
    if live.recording_id is not None:
        kept_s = deletions.decide_kept_s(settings)
        await deletions.delete_video(connection, live.recording_id, None, purge_after_s=kept_s)
    await append_audit(connection, _describe_act(live, order), order.now)
    await append_event(
        connection,
        EventName.STREAM_TAKEN_DOWN,
        subject_id=live.id,
        data={"owner_id": str(live.owner_id), "title": live.title, "reason": order.reason},
    )
    return live


def _describe_act(live: LiveRow, order: TakedownOrder) -> AuditDraft:
    details = {"reason": order.reason, "title": live.title, "owner": live.owner_username}
    if live.recording_id is not None:
        details["recording"] = str(live.recording_id)
    user_id, subject = order.moderator.user_id, f"live:{live.id}"
    return AuditDraft(make_id(), user_id, "live.taken_down", subject, details)
