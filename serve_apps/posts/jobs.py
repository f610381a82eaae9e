"""What follows a post, a like or a comment: timelines, counters, live hints, notices.

Handlers of outbox events; each may run twice for one event and leaves the same rows. Hints travel
by the ephemeral bus after the commit and may be lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from actors.job_runner.ports import JobPorts, Listener
from kit.events import Event, EventName
from serve_apps.access.visibility import Visibility
from serve_apps.reactions import tell_owner
from storage.counters import recount_post, recount_user
from storage.posts import PostHead, find_post_head
from storage.subscriptions import list_subscribing
from storage.timelines import fan_out_batch, remove_post_batch

BATCH_READERS = 500
HINTS_MAX = 1_000


async def fan_out_post(ports: JobPorts, event: Event) -> None:
    """Put a post into its author's followers' timelines, batch by batch, and hint at it."""
    async with ports.database.connection() as connection:
        post = await find_post_head(connection, event.subject_id)
    if post is None or post.visibility == "private":
        return
    after: uuid.UUID | None = None
    hints = 0
    while True:
        async with ports.database.transaction() as connection:
            readers = await fan_out_batch(connection, post, after=after, limit=BATCH_READERS)
        if not readers:
            return
        after = readers[-1]
        for reader in (await _list_hinted(ports, post, readers))[: HINTS_MAX - hints]:
            hint = {"post_id": str(post.id), "author_id": str(post.author_id)}
            await ports.cache.publish(f"user:{reader}", "feed_hint", hint)
            hints += 1


async def _list_hinted(
    ports: JobPorts, post: PostHead, readers: list[uuid.UUID]
) -> list[uuid.UUID]:
    """Return which of the readers may see a post; timelines have it for whoever may one day."""
    if post.visibility != Visibility.SUBSCRIBERS:
        return readers
    async with ports.database.connection() as connection:
        subscribing = await list_subscribing(connection, post.author_id, readers)
    return [reader for reader in readers if reader in subscribing]


async def withdraw_post(ports: JobPorts, event: Event) -> None:
    """Take a deleted post out of timelines; readers no longer saw it there anyway."""
    author_id = uuid.UUID(event.data["author_id"])
    post = PostHead(event.subject_id, author_id, "private", event.created_at)
    after: uuid.UUID | None = None
    while True:
        async with ports.database.transaction() as connection:
            after = await remove_post_batch(connection, post, after=after, limit=BATCH_READERS)
        if after is None:
            return


async def count_likes(ports: JobPorts, event: Event) -> None:
    """Count a post's likes and comments again and tell those who look at it.

    A comment below a video is none of a post's.
    """
    async with ports.database.transaction() as connection:
        counters = await recount_post(connection, event.subject_id)
    if counters is None:
        return
    channel = f"post:{event.subject_id}"
    numbers = {"likes": counters.likes, "comments": counters.comments}
    await ports.cache.publish(channel, "post_counters", numbers)


async def count_posts(ports: JobPorts, event: Event) -> None:
    """Count an author's posts again."""
    author_id = event.data.get("author_id") or event.actor_id
    if author_id is None:
        return
    async with ports.database.transaction() as connection:
        await recount_user(connection, uuid.UUID(str(author_id)))


async def tell_author(ports: JobPorts, event: Event) -> None:
    """Tell an author of a like or a comment by somebody else."""
    async with ports.database.connection() as connection:
        post = await find_post_head(connection, event.subject_id)
    if post is not None:
        await tell_owner(ports, event, post.author_id, {"post_id": str(post.id)})


LISTENERS: Mapping[str, Listener] = {
    "posts.fan_out": Listener(frozenset({EventName.POST_CREATED}), fan_out_post),
    "posts.withdraw": Listener(frozenset({EventName.POST_DELETED}), withdraw_post),
    "posts.count_likes": Listener(
        frozenset(
            {
                EventName.POST_LIKED,
                EventName.POST_UNLIKED,
                EventName.POST_COMMENTED,
                EventName.COMMENT_DELETED,
            }
        ),
        count_likes,
    ),
    "posts.tell_author": Listener(
        frozenset({EventName.POST_LIKED, EventName.POST_COMMENTED}), tell_author
    ),
    "posts.count_posts": Listener(
        frozenset({EventName.POST_CREATED, EventName.POST_DELETED}), count_posts
    ),
}
