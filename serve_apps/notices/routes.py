"""Routes of notices: what you were told, and that you have seen it."""

from __future__ import annotations

from kit.cursors import CursorMalformed
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import PageRequest
from serve_apps.http.state import CurrentUser, Ports, Transaction
from serve_apps.notices import service
from serve_apps.notices.schemas import NoticePage, SeenBody, SeenRequest, describe_notice

routes = Routes("/notices", "notices")


@routes.get(
    "",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="List what you were told, the newest first.",
    errors=(CursorMalformed,),
)
async def list_notices(
    query: PageRequest, user: CurrentUser, connection: Transaction
) -> NoticePage:
    """List the caller's notices."""
    page = await service.list_notices(connection, user, cursor=query.cursor, limit=query.limit)
    return NoticePage(
        items=[describe_notice(entry) for entry in page.items],
        next_cursor=page.next_cursor,
        unseen=await service.count_unseen(connection, user),
    )


@routes.post(
    "/seen",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Say up to where you have seen; your other devices hear of it.",
)
async def mark_seen(body: SeenRequest, user: CurrentUser, ports: Ports) -> SeenBody:
    """Remember what the caller has seen."""
    async with ports.database.transaction() as connection:
        seen = await service.mark_seen(connection, user, body.offset)
    answer = SeenBody(offset=seen.seq, unseen=seen.unseen)
    await ports.cache.publish(f"user:{user.user_id}", "notices_seen", answer.model_dump())
    return answer
