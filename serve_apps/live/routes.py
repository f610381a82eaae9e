"""Routes of lives: announce, list, join, keys, end; `entry_routes` has where media goes."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from fastapi import Query
from fastapi.responses import Response

from actors.live_room.chat_state import MESSAGE_HELD
from kit.cursors import CursorMalformed, Page
from kit.errors import PermissionDenied
from serve_apps.access.permissions import Permission
from serve_apps.access.playback import choose_edge
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import ForSubscribers
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import AvoidedEdge, ItemPage, PageRequest
from serve_apps.http.state import ApiPorts, CurrentUser, OptionalUser, Ports, Transaction
from serve_apps.live import schedule, service
from serve_apps.live.chat_service import find_revealed
from serve_apps.live.lines import LineRefused, write_line
from serve_apps.live.schemas import (
    EXAMPLE_ENDED,
    ChatBody,
    CreatedLiveBody,
    IngestBody,
    JoinBody,
    LineBody,
    LineRequest,
    LiveBody,
    LiveChangeRequest,
    LivePlaybackBody,
    LiveRequest,
    RoomMessageBody,
    StreamKeyBody,
    StreamKeyHintBody,
    describe_created,
    describe_live,
    describe_message,
)
from storage.database import WRITE_TIMEOUT_S
from storage.lives import LiveRow
from storage.viewers import read_viewer_counts

routes = Routes("/live", "live")
State = Annotated[Literal["live", "scheduled"], Query(description="On air, or to come.")]
OwnerName = Annotated[
    str, Query(pattern="^[A-Za-z0-9_]{1,30}$", description="Of this person alone.")
]


@routes.post(
    "",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Announce a live; the stream key in the answer is shown this once.",
    status=201,
    errors=(service.TooManyLives, schedule.ScheduleUnfit),
)
async def create_live(
    body: LiveRequest, user: CurrentUser, ports: Ports, connection: Transaction
) -> CreatedLiveBody:
    """Announce a live, for now or for a time to come."""
    schedule.check_time(body.scheduled_at, ports.clock.now())
    plan = service.LivePlan(body.title, body.visibility, body.scheduled_at, body.record)
    made = await service.announce_live(connection, user, plan)
    edge_url = await choose_edge(connection, ports.settings)
    addresses = service.make_addresses(ports.settings, made.live.id, edge_url)
    return describe_created(made.live, addresses, made.stream_key)


@routes.get(
    "",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="List public lives on air, newest first, or those to come, soonest first.",
    errors=(CursorMalformed,),
)
async def list_lives(
    viewer: OptionalUser,
    ports: Ports,
    query: PageRequest,
    state: State = "live",
    owner: OwnerName | None = None,
) -> ItemPage[LiveBody]:
    """List lives; those to come include your own that are not public."""
    name = None if owner is None else owner.lower()
    async with ports.database.connection() as connection:
        if state == "scheduled":
            programme = schedule.make_programme(viewer, name, ports.clock.now())
            page = await schedule.list_upcoming(connection, programme, query.cursor, query.limit)
        else:
            page = await service.list_running(connection, name, query.cursor, query.limit)
        edge_url = await choose_edge(connection, ports.settings)
    return await _describe_page(ports, page, edge_url)


@routes.get(
    "/mine",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="List your own lives, newest first.",
    errors=(CursorMalformed,),
)
async def list_my_lives(user: CurrentUser, ports: Ports, query: PageRequest) -> ItemPage[LiveBody]:
    """List the caller's lives."""
    async with ports.database.connection() as connection:
        page = await service.list_owned(connection, user, query.cursor, query.limit)
        edge_url = await choose_edge(connection, ports.settings)
    return await _describe_page(ports, page, edge_url)


@routes.get(
    "/{live_id}",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="Look at one live.",
    errors=(service.LiveNotFound, ForSubscribers),
)
async def get_live(live_id: uuid.UUID, viewer: OptionalUser, ports: Ports) -> LiveBody:
    """Look at one live."""
    async with ports.database.connection() as connection:
        live = await service.get_live(connection, viewer, live_id)
        edge_url = await choose_edge(connection, ports.settings)
    return await _describe_one(ports, live, edge_url)


@routes.patch(
    "/{live_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Change title, audience or time of your live; who may not see it is let go at once.",
    errors=(
        service.LiveNotFound,
        service.LiveEnded,
        PermissionDenied,
        schedule.ScheduleUnfit,
        schedule.LiveBegun,
    ),
)
async def change_live(
    live_id: uuid.UUID,
    body: LiveChangeRequest,
    user: CurrentUser,
    ports: Ports,
    connection: Transaction,
) -> LiveBody:
    """Change a live."""
    change = service.LiveChange(body.title, body.visibility, body.record)
    live = await service.change_live(connection, user, live_id, change)
    if "scheduled_at" in body.model_fields_set:
        await schedule.reschedule(connection, live, body.scheduled_at, ports.clock.now())
        live = await service.get_own_live(connection, user, live_id)
    edge_url = await choose_edge(connection, ports.settings)
    return await _describe_one(ports, live, edge_url)


@routes.delete(
    "/{live_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="End your live and take it away, with its chat.",
    status=204,
    response_class=Response,
    errors=(service.LiveNotFound, PermissionDenied),
)
async def delete_live(live_id: uuid.UUID, user: CurrentUser, ports: Ports) -> None:
    """Delete a live; its room ends it first, outside of any transaction of ours."""
    async with ports.database.transaction(WRITE_TIMEOUT_S) as connection:
        live = await service.get_own_live(connection, user, live_id)
    if live.status != "ended":
        await ports.rooms.end_live(live_id)
    async with ports.database.transaction(WRITE_TIMEOUT_S) as connection:
        await service.delete_live(connection, user, live_id)


@routes.post(
    "/{live_id}/join",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="Get the addresses a viewer needs; ask again after any failure.",
    errors=(service.LiveNotFound, ForSubscribers, service.NoEdge),
)
async def join_live(
    live_id: uuid.UUID,
    viewer: OptionalUser,
    ports: Ports,
    connection: Transaction,
    avoid: AvoidedEdge = "",
) -> JoinBody:
    """Join a live."""
    now = ports.clock.now()
    watcher = await service.make_watcher(connection, viewer, now, avoid)
    live = await service.get_live(connection, viewer, live_id)
    edge = await service.choose_edge(connection, avoid)
    addresses = service.make_addresses(ports.settings, live.id, edge.url)
    hls = await service.make_hls_address(connection, ports.settings, live, watcher)
    return JoinBody(
        playback=LivePlaybackBody(whep=addresses.whep, hls=hls),
        chat=ChatBody(socket=addresses.socket, channel=addresses.channel),
        ticket=service.make_socket_ticket(ports.settings, viewer, live.id, edge, now),
    )


@routes.get(
    "/{live_id}/key",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Look at how the stream key ends, and where it is used; none, once revoked.",
    errors=(service.LiveNotFound, PermissionDenied),
)
async def get_stream_key(live_id: uuid.UUID, user: CurrentUser, ports: Ports) -> StreamKeyHintBody:
    """Tell keys apart without telling one; where media goes in stands beside it."""
    async with ports.database.connection() as connection:
        hint = await service.get_key_hint(connection, user, live_id)
    return StreamKeyHintBody(hint=hint, ingest=_describe_ingest(ports, live_id))


@routes.post(
    "/{live_id}/key",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Replace the stream key; the one before is void at once.",
    errors=(service.LiveNotFound, service.LiveEnded, PermissionDenied),
)
async def rotate_stream_key(live_id: uuid.UUID, user: CurrentUser, ports: Ports) -> StreamKeyBody:
    """Replace the stream key; then the room cuts whoever publishes with the old one."""
    async with ports.database.transaction(WRITE_TIMEOUT_S) as connection:
        stream_key = await service.rotate_key(connection, user, live_id)
    await ports.rooms.cut_publisher(live_id)
    return StreamKeyBody(stream_key=stream_key, ingest=_describe_ingest(ports, live_id))


@routes.delete(
    "/{live_id}/key",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Revoke the stream key without a new one; whoever publishes with it is cut.",
    status=204,
    response_class=Response,
    errors=(service.LiveNotFound, service.LiveEnded, PermissionDenied),
)
async def revoke_stream_key(live_id: uuid.UUID, user: CurrentUser, ports: Ports) -> None:
    """Leave the live without a key that anybody knows; a new one can be asked for later."""
    async with ports.database.transaction(WRITE_TIMEOUT_S) as connection:
        await service.revoke_key(connection, user, live_id)
    await ports.rooms.cut_publisher(live_id)


@routes.post(
    "/{live_id}/end",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="End your live for everybody.",
    example=EXAMPLE_ENDED,
    errors=(service.LiveNotFound, PermissionDenied),
)
async def end_live(live_id: uuid.UUID, user: CurrentUser, ports: Ports) -> LiveBody:
    """End a live; its room writes the end, outside of any transaction of ours."""
    async with ports.database.transaction(WRITE_TIMEOUT_S) as connection:
        live = await service.get_own_live(connection, user, live_id)
    if live.status != "ended":
        await ports.rooms.end_live(live_id)
    async with ports.database.transaction(WRITE_TIMEOUT_S) as connection:
        live = await service.get_own_live(connection, user, live_id)
        edge_url = await choose_edge(connection, ports.settings)
    return await _describe_one(ports, live, edge_url)


@routes.get(
    "/{live_id}/messages",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="Read a room's history, newest first; with your own lines that wait for a moderator.",
    errors=(service.LiveNotFound, ForSubscribers, CursorMalformed),
)
async def list_live_messages(
    live_id: uuid.UUID,
    viewer: OptionalUser,
    query: PageRequest,
    connection: Transaction,
) -> ItemPage[RoomMessageBody]:
    """Read a room's history."""
    live = await service.get_live(connection, viewer, live_id)
    page = await service.list_history(connection, live, query.cursor, query.limit)
    revealed = await find_revealed(connection, viewer, live, page.items)
    items = [
        describe_message(message, live.epoch, reveals_held=message.id in revealed)
        for message in page.items
    ]
    return ItemPage(items=items, next_cursor=page.next_cursor)


@routes.post(
    "/{live_id}/messages",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Write a chat line without a socket; the same client_id again never doubles it.",
    status=201,
    errors=(service.LiveNotFound, ForSubscribers, LineRefused),
)
async def write_live_message(
    live_id: uuid.UUID, body: LineRequest, user: CurrentUser, ports: Ports
) -> LineBody:
    """Write a line; its room stores it, outside of any transaction of ours."""
    stored = await write_line(ports, user, live_id, body.client_id, body.text)
    return LineBody(
        client_id=body.client_id,
        message_id=uuid.UUID(stored.entry_id),
        epoch=uuid.UUID(stored.epoch),
        offset=stored.seq,
        held=stored.kind == MESSAGE_HELD,
    )


def _describe_ingest(ports: ApiPorts, live_id: uuid.UUID) -> IngestBody:
    addresses = service.make_addresses(ports.settings, live_id, "")
    return IngestBody(whip=addresses.whip, rtmp=addresses.rtmp)


async def _describe_one(ports: ApiPorts, live: LiveRow, edge_url: str) -> LiveBody:
    viewers = await read_viewer_counts(ports.cache, [live.id])
    addresses = service.make_addresses(ports.settings, live.id, edge_url)
    return describe_live(live, addresses, viewers.get(live.id))


async def _describe_page(ports: ApiPorts, page: Page[LiveRow], edge_url: str) -> ItemPage[LiveBody]:
    viewers = await read_viewer_counts(ports.cache, [live.id for live in page.items])
    items = [
        describe_live(
            live,
            service.make_addresses(ports.settings, live.id, edge_url),
            viewers.get(live.id),
        )
        for live in page.items
    ]
    return ItemPage(items=items, next_cursor=page.next_cursor)
