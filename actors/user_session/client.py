"""A session's own words over the way to hosted objects; edges and the job runner keep one each."""

from __future__ import annotations

import uuid
from typing import Any

from actors.hosting.client import HostClient
from actors.hosting.core import ObjectKey
from actors.hosting.messages import Stored
from actors.user_session.messages import ActivityReport, Deliver, SocketsReport
from storage.placements import USER

SOCKETS = "sockets"


class UserClient:
    """What this process says to people's sessions, and asks of them."""

    def __init__(self, hosts: HostClient) -> None:
        self._hosts = hosts

    def report_sockets(self, user_id: uuid.UUID, report: SocketsReport) -> None:
        """Say which sockets of the person this edge holds; the session is followed here."""
        session = self._hosts.find_followed(ObjectKey(USER, user_id))
        if session is not None:
            session.keep_told(SOCKETS, report)

    def report_activity(self, user_id: uuid.UUID) -> None:
        """Say that the person did something."""
        session = self._hosts.find_followed(ObjectKey(USER, user_id))
        if session is not None:
            session.tell(ActivityReport())

    async def deliver(
        self, user_id: uuid.UUID, event_id: uuid.UUID, kind: str, data: dict[str, Any]
    ) -> Stored:
        """Tell the person of something; returns once it is stored, and again for a repeat.

        Raises RequestFailed or ObjectUnanswered.
        """
        notice = Deliver(event_id, kind, data)
        return await self._hosts.ask(ObjectKey(USER, user_id), notice, Stored)
