"""What is asked of a feed ranker, and what it answers. Plain values."""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec

from actors.hosting.messages import Message

CANDIDATES_MAX = 100
"""As many as a page of a list has; more are refused."""


class Candidate(msgspec.Struct, array_like=True, frozen=True):
    """A post that the reader may see."""

    id: uuid.UUID
    created_at: datetime


class Rank(Message, frozen=True):
    """Order these posts for the reader, who is about to be shown them."""

    candidates: list[Candidate]


class Ranking(Message, frozen=True):
    """The ids of all candidates, the first to read first."""

    order: list[uuid.UUID]
