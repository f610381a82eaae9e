"""People's channels in memory, for tests of whoever tells people something."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from actors.hosting.messages import Stored


@dataclass
class HeardPeople:
    """Stores what is delivered as a session does: in order, an event once."""

    notices: dict[uuid.UUID, list[tuple[str, dict[str, Any]]]] = field(default_factory=dict)
    _known: dict[tuple[uuid.UUID, uuid.UUID], Stored] = field(default_factory=dict)

    async def deliver(
        self, user_id: uuid.UUID, event_id: uuid.UUID, kind: str, data: dict[str, Any]
    ) -> Stored:
        known = self._known.get((user_id, event_id))
        if known is None:
            notices = self.notices.setdefault(user_id, [])
            notices.append((kind, data))
            known = Stored(0, str(uuid.uuid4()), "epoch", len(notices))
            self._known[user_id, event_id] = known
        return known

    def kinds(self, user_id: uuid.UUID | str) -> list[str]:
        """Return the kinds of what somebody was told, in order."""
        return [kind for kind, _data in self.notices.get(uuid.UUID(str(user_id)), [])]
