"""What people ask of a site: lines, notices and pages of feeds, as their clients ask them.

A line or a notice is asked for until it is acknowledged; a page takes the order it gets in time.
"""

from __future__ import annotations

import asyncio
import functools
import uuid
from datetime import timedelta
from typing import Protocol

from actors.feed_ranker.client import RankContext
from actors.feed_ranker.messages import Candidate
from actors.hosting.client import ObjectUnanswered
from actors.hosting.core import ObjectKey
from actors.hosting.entries import Sender
from actors.hosting.followed import RequestFailed
from actors.hosting.messages import Stored
from actors.live_room.entries import RoomEnded, Speaker
from storage.placements import FEED, USER
from tests.actors.hosting.sim.kinds import make_stored_id
from tests.actors.hosting.sim.plan import Line
from tests.actors.hosting.sim.site import AT, Process, Site

ANSWER_MAX_S = 8.5
"""No request may stay unanswered for longer, by its sender's clock."""
PAGE_MAX_S = 0.3
PAGE_LATE_MAX_S = 0.05
POSTS_PER_PAGE = 5
RETRY_FIRST_S, RETRY_MAX_S = 0.3, 1.2


class Stage(Protocol):
    """What they need of the world."""

    site: Site

    def note(self, text: str) -> None:
        """Remember what happened."""
        ...


async def ask(stage: Stage, process: Process, line: Line) -> None:
    """Do what a line of the plan says."""
    key = stage.site.keys[line.object]
    if key.kind == FEED:
        await read_page(stage, process, key, line)
    else:
        await say(stage, process, key, line)


async def say(stage: Stage, process: Process, key: ObjectKey, line: Line) -> None:
    """Send a line or a notice until it is acknowledged, as a page or the job runner does."""
    wait_s = RETRY_FIRST_S
    while True:
        asked_s, pauses = process.loop.time(), process.loop.pauses
        try:
            sender, stored = await _send(process, key, line)
        except (RequestFailed, ObjectUnanswered) as error:
            check_wait(stage, process, asked_s, pauses)
            code = error.refusal.code if isinstance(error, RequestFailed) else error.code
            stage.note(f"{process.loop.name}: {line.client_id} refused: {code}")
            if code == RoomEnded.code:
                return
            await asyncio.sleep(wait_s * (0.5 + stage.site.timeline.random.random()))
            wait_s = min(2 * wait_s, RETRY_MAX_S)
        else:
            check_wait(stage, process, asked_s, pauses)
            stage.site.history.on_acknowledged(key, sender, (stored.entry_id, stored.seq))
            return


async def _send(process: Process, key: ObjectKey, line: Line) -> tuple[Sender, Stored]:
    if key.kind == USER:
        assert process.users is not None, "begun"
        event_id = uuid.UUID(line.client_id)
        return (key.id, line.client_id), await process.users.deliver(key.id, event_id, "like", {})
    assert process.rooms is not None, "begun"
    speaker = find_speaker(line.user)
    stored = await process.rooms.send_chat(key.id, speaker, line.client_id, "words")
    return (speaker.user_id, line.client_id), stored


@functools.cache
def find_speaker(number: int) -> Speaker:
    """Return who says the lines of this number."""
    return Speaker(make_stored_id(number), "ada", "Ada")


async def read_page(stage: Stage, process: Process, key: ObjectKey, line: Line) -> None:
    """Ask for the order of a page; it comes in time, with every post once, whatever befalls."""
    assert process.feeds is not None, "begun"
    first = uuid.UUID(line.client_id).int
    posts = [
        Candidate(uuid.UUID(int=first + number), AT + timedelta(seconds=number))
        for number in range(POSTS_PER_PAGE)
    ]
    asked_s, pauses = process.loop.time(), process.loop.pauses
    ranked = await process.feeds.rank(posts, RankContext(key.id, PAGE_MAX_S))
    took_s = process.loop.time() - asked_s
    stage.note(f"{process.loop.name}: page {first & 0xFFF} ranked: {ranked.is_ranked}")
    if sorted(ranked.order) != sorted(post.id for post in posts):
        stage.site.history.fail(f"a page of {len(posts)} posts was ordered as {ranked.order}")
    if took_s > PAGE_MAX_S + PAGE_LATE_MAX_S and pauses == process.loop.pauses:
        stage.site.history.fail(f"{process.loop.name} waited {took_s:.2f} s for a page")


def check_wait(stage: Stage, process: Process, asked_s: float, pauses: int) -> None:
    """Refuse an answer that took too long while the process did not stand still."""
    took_s = process.loop.time() - asked_s
    if took_s > ANSWER_MAX_S and pauses == process.loop.pauses:
        stage.site.history.fail(f"{process.loop.name} waited {took_s:.1f} s for an answer")
