"""Routes of lists that span features: the feeds, and a person's videos.

Items have the shape that their own feature gives them.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from actors.feed_ranker.client import RankContext
from actors.feed_ranker.messages import Candidate
from kit.cursors import CursorMalformed
from serve_apps.access.permissions import Permission
from serve_apps.access.playback import make_terms
from serve_apps.access.rates import RateTier
from serve_apps.feed import service
from serve_apps.feed.schemas import HomeOrder, HomePage
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import ItemPage, PageRequest
from serve_apps.http.state import CurrentUser, OptionalUser, Ports, Transaction
from serve_apps.posts.routes import describe_rows
from serve_apps.posts.schemas import PostBody
from serve_apps.users.service import UserNotFound
from serve_apps.videos.playback import build_playback
from serve_apps.videos.schemas import VideoBody, describe_video

routes = Routes("/feed", "feed")
person_routes = Routes("/users", "videos")


@routes.get(
    "/home",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Posts of those you follow and your own, page by page newest first.",
    errors=(CursorMalformed,),
)
async def get_home(user: CurrentUser, query: PageRequest, ports: Ports) -> HomePage:
    """Answer a page of the home feed; the ranker is asked when no transaction is open any more."""
    async with ports.database.transaction() as connection:
        page = await service.list_home(connection, user, cursor=query.cursor, limit=query.limit)
        bodies = await describe_rows(connection, ports, user, list(page.items))
    candidates = [Candidate(row.id, row.created_at) for row in page.items]
    timeout_s = ports.settings.limits.feed_rank_timeout_s
    ranked = await ports.rankers.rank(candidates, RankContext(user.user_id, timeout_s))
    by_id = {body.id: body for body in bodies}
    return HomePage(
        items=[by_id[post_id] for post_id in ranked.order],
        next_cursor=page.next_cursor,
        order=HomeOrder.UNSEEN_FIRST if ranked.is_ranked else HomeOrder.NEWEST_FIRST,
    )


@routes.get(
    "/explore",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="Public posts of everybody, newest first.",
    errors=(CursorMalformed,),
)
async def get_explore(
    viewer: OptionalUser, query: PageRequest, ports: Ports, connection: Transaction
) -> ItemPage[PostBody]:
    """Answer a page of public posts."""
    page = await service.list_explore(connection, viewer, cursor=query.cursor, limit=query.limit)
    return ItemPage(
        items=await describe_rows(connection, ports, viewer, list(page.items)),
        next_cursor=page.next_cursor,
    )


@person_routes.get(
    "/{username}/videos",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="List a person's ready videos that you may see, last published first.",
    errors=(UserNotFound, CursorMalformed),
)
async def list_person_videos(
    username: Annotated[str, Path(pattern="^[A-Za-z0-9_]{1,30}$", examples=["ada"])],
    viewer: OptionalUser,
    query: PageRequest,
    ports: Ports,
    connection: Transaction,
) -> ItemPage[VideoBody]:
    """Answer a page of a person's videos."""
    terms = await make_terms(connection, ports.settings, viewer, ports.clock.now())
    page = await service.list_person_videos(
        connection, viewer, username, cursor=query.cursor, limit=query.limit
    )
    return ItemPage(
        items=[describe_video(video, build_playback(video, terms)) for video in page.items],
        next_cursor=page.next_cursor,
    )
