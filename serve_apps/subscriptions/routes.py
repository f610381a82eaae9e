"""Routes of subscriptions: who subscribes to you, given and ended by you, and to whom you do."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from fastapi.responses import Response

from kit.cursors import CursorMalformed
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import ItemPage, PageRequest
from serve_apps.http.state import CurrentUser, Transaction
from serve_apps.subscriptions import service
from serve_apps.subscriptions.schemas import GiftRequest, SubscriptionBody, describe_subscription
from serve_apps.users.service import UserNotFound

routes = Routes("/subscribers", "subscriptions")
own_routes = Routes("/subscriptions", "subscriptions")
Username = Annotated[str, Path(pattern="^[A-Za-z0-9_]{1,30}$", examples=["bob"])]


@routes.get(
    "",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="List who subscribes to you, the newest first.",
    errors=(CursorMalformed,),
)
async def list_subscribers(
    query: PageRequest, user: CurrentUser, connection: Transaction
) -> ItemPage[SubscriptionBody]:
    """List subscribers."""
    page = await service.list_subscribers(connection, user, cursor=query.cursor, limit=query.limit)
    return ItemPage(
        items=[describe_subscription(row) for row in page.items], next_cursor=page.next_cursor
    )


@routes.put(
    "/{username}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Give somebody a complimentary subscription to you, or change when it ends.",
    errors=(
        UserNotFound,
        service.CannotSubscribeToYourself,
        service.SubscriptionEndUnfit,
        service.TooManyGifts,
    ),
)
async def give_subscription(
    username: Username, body: GiftRequest, user: CurrentUser, connection: Transaction
) -> SubscriptionBody:
    """Give a subscription."""
    given = await service.give_subscription(connection, user, username, body.until)
    return describe_subscription(given)


@routes.delete(
    "/{username}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="End a complimentary subscription to you; doing it again changes nothing.",
    status=204,
    response_class=Response,
    errors=(UserNotFound,),
)
async def end_subscription(username: Username, user: CurrentUser, connection: Transaction) -> None:
    """End a subscription."""
    await service.end_gift(connection, user, username)


@own_routes.get(
    "",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="List to whom you subscribe, the newest first.",
    errors=(CursorMalformed,),
)
async def list_subscriptions(
    query: PageRequest, user: CurrentUser, connection: Transaction
) -> ItemPage[SubscriptionBody]:
    """List own subscriptions."""
    page = await service.list_subscriptions(
        connection, user, cursor=query.cursor, limit=query.limit
    )
    return ItemPage(
        items=[describe_subscription(row) for row in page.items], next_cursor=page.next_cursor
    )
