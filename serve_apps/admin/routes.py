"""Routes of administration: people, their roles and bans, and the record of privileged acts."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Path, Query, Response

from actors.hosting.mover import TargetAway
from kit.cursors import CursorMalformed
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.admin import hosts, moves, service
from serve_apps.admin.schemas import (
    EXAMPLE_UNBANNED,
    AuditBody,
    BanRequest,
    HostList,
    MoveRequest,
    RoleRequest,
    RoomBody,
    RunningBody,
    StandingBody,
    describe_act,
    describe_host,
    describe_room,
    describe_running,
    describe_standing,
)
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import ItemPage, PageRequest
from serve_apps.http.state import CurrentUser, HostAway, Ports, Revocations, Transaction
from storage.viewers import read_viewer_counts

routes = Routes("/admin", "administration")
Username = Annotated[str, Path(pattern="^[A-Za-z0-9_]{1,30}$", examples=["mallory"])]
HostId = Annotated[str, Path(pattern="^[a-z0-9@-]{1,100}$", examples=["host-1"])]
HostName = Annotated[str, Query(max_length=100, description="Of this host alone.")]
Prefix = Annotated[
    str, Query(pattern="^[A-Za-z0-9_]{0,30}$", description="How the name begins.", examples=["mal"])
]


@routes.get(
    "/users",
    permission=Permission.MODERATOR,
    rate=RateTier.STANDARD,
    summary="List people with their role and ban, the newest accounts first.",
    errors=(CursorMalformed,),
)
async def list_users(
    query: PageRequest, connection: Transaction, name: Prefix = ""
) -> ItemPage[StandingBody]:
    """List people."""
    page = await service.list_people(
        connection, prefix=name, cursor=query.cursor, limit=query.limit
    )
    return ItemPage(
        items=[describe_standing(person) for person in page.items], next_cursor=page.next_cursor
    )


@routes.get(
    "/users/{username}",
    permission=Permission.MODERATOR,
    rate=RateTier.STANDARD,
    summary="Look at a person's role and ban.",
    errors=(service.PersonNotFound,),
)
async def get_user(username: Username, connection: Transaction) -> StandingBody:
    """Answer one person."""
    return describe_standing(await service.get_person(connection, username))


@routes.put(
    "/users/{username}/ban",
    permission=Permission.MODERATOR,
    rate=RateTier.STANDARD,
    summary="Ban a person: every session ends within a second, on every node.",
    errors=(service.PersonNotFound, service.CannotActOnYourself, service.OutOfReach),
)
async def ban_user(
    username: Username,
    body: BanRequest,
    caller: CurrentUser,
    ports: Ports,
    revocations: Revocations,
) -> StandingBody:
    """Ban a person."""
    async with ports.database.transaction() as connection:
        outcome = await service.ban(connection, caller, username, body.reason, ports.clock.now())
    for session_id in outcome.ended:
        revocations.note(session_id)
    return describe_standing(outcome.person)


@routes.delete(
    "/users/{username}/ban",
    permission=Permission.MODERATOR,
    rate=RateTier.STANDARD,
    summary="Lift a ban; the person may log in again.",
    example=EXAMPLE_UNBANNED,
    errors=(service.PersonNotFound, service.CannotActOnYourself, service.OutOfReach),
)
async def unban_user(
    username: Username, caller: CurrentUser, ports: Ports, connection: Transaction
) -> StandingBody:
    """Lift a ban."""
    return describe_standing(
        await service.lift_ban(connection, caller, username, ports.clock.now())
    )


@routes.put(
    "/users/{username}/role",
    permission=Permission.ADMIN,
    rate=RateTier.STANDARD,
    summary="Give a person another role; they have to log in again.",
    example={**EXAMPLE_UNBANNED, "role": "moderator"},
    errors=(service.PersonNotFound, service.CannotActOnYourself, service.LastAdmin),
)
async def change_role(
    username: Username,
    body: RoleRequest,
    caller: CurrentUser,
    ports: Ports,
    revocations: Revocations,
) -> StandingBody:
    """Change a role."""
    async with ports.database.transaction() as connection:
        outcome = await service.change_role(
            connection, caller, username, body.role, ports.clock.now()
        )
    for session_id in outcome.ended:
        revocations.note(session_id)
    return describe_standing(outcome.person)


@routes.get(
    "/audit",
    permission=Permission.ADMIN,
    rate=RateTier.STANDARD,
    summary="List privileged acts, the newest first.",
    errors=(CursorMalformed,),
)
async def list_audit(query: PageRequest, connection: Transaction) -> ItemPage[AuditBody]:
    """List acts."""
    page = await service.list_acts(connection, cursor=query.cursor, limit=query.limit)
    return ItemPage(
        items=[describe_act(entry) for entry in page.items], next_cursor=page.next_cursor
    )


@routes.get(
    "/hosts",
    permission=Permission.ADMIN,
    rate=RateTier.STANDARD,
    summary="List the hosts of live objects: lease, state, and what is placed there.",
)
async def list_hosts(ports: Ports) -> HostList:
    """List hosts."""
    return HostList(items=[describe_host(report) for report in await hosts.list_hosts(ports)])


@routes.post(
    "/hosts/{host}/drain",
    permission=Permission.ADMIN,
    rate=RateTier.STANDARD,
    summary="Take a host out of service: what runs there moves to others, nobody misses anything.",
    status=204,
    response_class=Response,
    errors=(hosts.HostNotFound, hosts.LastHost, HostAway),
)
async def drain_host(host: HostId, caller: CurrentUser, ports: Ports) -> None:
    """Drain a host."""
    await hosts.drain_host(ports, caller, host)


@routes.delete(
    "/hosts/{host}/drain",
    permission=Permission.ADMIN,
    rate=RateTier.STANDARD,
    summary="Bring a drained host back into service.",
    status=204,
    response_class=Response,
    errors=(hosts.HostNotFound, HostAway),
)
async def resume_host(host: HostId, caller: CurrentUser, ports: Ports) -> None:
    """Resume a host."""
    await hosts.resume_host(ports, caller, host)


@routes.get(
    "/hosts/{host}/rooms",
    permission=Permission.ADMIN,
    rate=RateTier.STANDARD,
    summary="Ask a host which rooms it runs at this moment, with followers, queue and rate.",
    errors=(hosts.HostNotFound, HostAway, CursorMalformed),
)
async def survey_host(host: HostId, query: PageRequest, ports: Ports) -> ItemPage[RunningBody]:
    """Ask a host."""
    page = await hosts.survey_host(ports, host, cursor=query.cursor, limit=query.limit)
    return ItemPage(
        items=[describe_running(facts) for facts in page.items], next_cursor=page.next_cursor
    )


@routes.get(
    "/rooms",
    permission=Permission.ADMIN,
    rate=RateTier.STANDARD,
    summary="List placed rooms with owner, host, epoch, viewers and rate, the newest first.",
    errors=(CursorMalformed,),
)
async def list_rooms(
    query: PageRequest, ports: Ports, host: HostName | None = None
) -> ItemPage[RoomBody]:
    """List rooms."""
    async with ports.database.connection() as connection:
        page = await service.list_rooms(
            connection, host_id=host, cursor=query.cursor, limit=query.limit
        )
    viewers = await read_viewer_counts(ports.cache, [room.id for room in page.items])
    return ItemPage(
        items=[describe_room(room, viewers.get(room.id)) for room in page.items],
        next_cursor=page.next_cursor,
    )


@routes.post(
    "/rooms/{live_id}/move",
    permission=Permission.ADMIN,
    rate=RateTier.STANDARD,
    summary="Move a room to another host; its viewers stay connected and miss nothing.",
    status=204,
    response_class=Response,
    errors=(moves.RoomNotFound, TargetAway, moves.RoomNotMoved),
)
async def move_room(
    live_id: uuid.UUID, body: MoveRequest, caller: CurrentUser, ports: Ports
) -> None:
    """Move a room."""
    await moves.move_room(ports, caller, live_id, body.host)
