"""Rules of lives as their owners and viewers meet them over the API.

What a running live does (status, chat, viewers) belongs to its room; here are announcing, keys,
who may look, and which edge a publisher or viewer is sent to.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from kit.cursors import (
    CursorMalformed,
    Page,
    cut_page,
    decode_cursor,
    make_moment_key,
    read_id_cursor,
    read_moment_cursor,
)
from kit.errors import Conflict, NotFound, PermissionDenied, Unavailable
from kit.events import EventName
from kit.ids import make_id, make_token
from kit.settings import Settings
from serve_apps.access.grants import TicketKind, TicketOrder, issue_ticket
from serve_apps.access.identity import Identity
from serve_apps.access.placing import decide_ingest, decide_watch, list_usable
from serve_apps.access.playback import (
    PlaybackTerms,
    find_viewer_version,
    make_live_base,
    make_socket_url,
)
from serve_apps.access.sight import Sight, check_sight
from serve_apps.access.stream_keys import KEY_CLAIM, get_live_by_key
from storage import lives as storage_lives
from storage.database import Connection
from storage.edges import EdgeEntry, list_live_edges
from storage.events import append_event
from storage.lives import (
    LiveDraft,
    LiveRow,
    count_open_lives,
    create_live,
    find_live,
    list_owned_lives,
    list_running_lives,
    replace_stream_key,
    revoke_stream_key,
)
from storage.rooms import RoomMessage, list_messages_before

OPEN_LIVES_MAX = 20
STREAM_KEY_PREFIX = "live_"
HLS_INDEX = "index.m3u8"


class LiveNotFound(NotFound):
    """There is no such live, or not for this viewer."""

    code, message = "live_not_found", "There is no such live."


class LiveEnded(Conflict):
    """The live is over; its key opens nothing any more."""

    code, message = "live_ended", "This live has ended; announce a new one."


class LiveNotOnAir(Conflict):
    """Nobody publishes right now."""

    code, message = "live_not_on_air", "Nobody is sending right now; try again when it is live."
    retryable = True


class TooManyLives(Conflict):
    """The owner has announced as many lives as may be open at once."""

    code = "too_many_lives"
    message = f"You have {OPEN_LIVES_MAX} lives that have not ended; end one first."


class NoEdge(Unavailable):
    """No edge takes clients right now."""

    code, message = "no_edge", "No media server is free right now; try again in a few seconds."


@dataclass(frozen=True)
class Watcher:
    """Who wants to watch now; `avoid` is the address of an edge that just failed them."""

    viewer: Identity | None
    now: datetime
    avoid: str = ""
    viewer_version: int = 0
    """As in `PlaybackTerms`."""


@dataclass(frozen=True)
class LiveAddresses:
    """Where the clients of one live connect."""

    whip: str
    rtmp: str | None
    whep: str
    hls: str
    socket: str
    channel: str


@dataclass(frozen=True)
class CreatedLive:
    """A fresh live and its key in clear, for this one answer."""

    live: LiveRow
    stream_key: str


def make_addresses(settings: Settings, live_id: uuid.UUID, edge_url: str) -> LiveAddresses:
    """Build the addresses of a live: WHIP, WHEP and HLS on the API, the socket on an edge."""
    public = settings.http.public_url.rstrip("/")
    return LiveAddresses(
        whip=f"{public}/whip",
        rtmp=make_rtmp_url(settings),
        whep=f"{public}/whep/{live_id}",
        hls=f"{public}/live/{live_id}/{HLS_INDEX}",
        socket=make_socket_url(edge_url),
        channel=f"room:{live_id}",
    )


def make_rtmp_url(settings: Settings) -> str | None:
    """Return where encoders publish, their stream key apart; None when RTMP is off."""
    host, rtmp = settings.edge.public_host, settings.rtmp
    if rtmp.tls_port:
        return f"rtmps://{host}:{rtmp.tls_port}/live"
    return f"rtmp://{host}:{rtmp.port}/live" if rtmp.port else None


async def choose_edge(connection: Connection, avoid: str = "") -> EdgeEntry:
    """Return the least loaded edge that takes clients, not one that failed; raises NoEdge."""
    return list_usable(await _list_edges(connection), avoid)[0]


@dataclass(frozen=True)
class LivePlan:
    """What is announced."""

    title: str
    visibility: str
    scheduled_at: datetime | None = None
    is_recorded: bool = True


async def announce_live(connection: Connection, owner: Identity, plan: LivePlan) -> CreatedLive:
    """Write a new live with a fresh stream key; raises TooManyLives."""
    if await count_open_lives(connection, owner.user_id) >= OPEN_LIVES_MAX:
        raise TooManyLives
    draft = LiveDraft(
        id=make_id(),
        owner_id=owner.user_id,
        title=plan.title,
        visibility=plan.visibility,
        stream_key=make_token(STREAM_KEY_PREFIX),
        epoch=make_id(),
        scheduled_at=plan.scheduled_at,
        is_recorded=plan.is_recorded,
    )
    await create_live(connection, draft)
    await append_event(
        connection,
        EventName.STREAM_CREATED,
        subject_id=draft.id,
        actor_id=owner.user_id,
        data={"title": plan.title},
    )
    live = await find_live(connection, draft.id)
    assert live is not None, "the row was written in this transaction"
    return CreatedLive(live, draft.stream_key)


async def get_live(connection: Connection, viewer: Identity | None, live_id: uuid.UUID) -> LiveRow:
    """Return a live that this viewer may see; raises LiveNotFound, ForSubscribers."""
    live = await find_live(connection, live_id)
    if live is None:
        raise LiveNotFound
    viewer_id = None if viewer is None else viewer.user_id
    await check_sight(connection, Sight(live.owner_id, live.visibility), viewer_id, LiveNotFound)
    return live


async def make_watcher(
    connection: Connection, viewer: Identity | None, now: datetime, avoid: str
) -> Watcher:
    """Say who wants to watch, before it is decided whether they may."""
    return Watcher(viewer, now, avoid, await find_viewer_version(connection, viewer))


async def get_own_live(connection: Connection, owner: Identity, live_id: uuid.UUID) -> LiveRow:
    """Return a live of this owner; raises LiveNotFound, PermissionDenied."""
    live = await get_live(connection, owner, live_id)
    if live.owner_id != owner.user_id:
        raise PermissionDenied
    return live


@dataclass(frozen=True)
class LiveChange:
    """What is changed of a live; None stays as it is."""

    title: str | None = None
    visibility: str | None = None
    is_recorded: bool | None = None


async def change_live(
    connection: Connection, owner: Identity, live_id: uuid.UUID, change: LiveChange
) -> LiveRow:
    """Change what is given; hiding a live lets go of who may not see it any more.

    Raises LiveNotFound, PermissionDenied, LiveEnded.
    """
    live = await get_own_live(connection, owner, live_id)
    if change.is_recorded not in (None, live.is_recorded):
        if live.status == "ended":
            raise LiveEnded
        await storage_lives.set_recorded(connection, live_id, is_recorded=bool(change.is_recorded))
    await storage_lives.change_live(
        connection, live_id, title=change.title, visibility=change.visibility
    )
    return await get_own_live(connection, owner, live_id)


async def delete_live(connection: Connection, owner: Identity, live_id: uuid.UUID) -> None:
    """Take a live away; raises LiveNotFound, PermissionDenied."""
    await get_own_live(connection, owner, live_id)
    await storage_lives.delete_live(connection, live_id)


async def rotate_key(connection: Connection, owner: Identity, live_id: uuid.UUID) -> str:
    """Replace the stream key; the old one opens nothing from the commit on. Raises LiveEnded."""
    live = await get_own_live(connection, owner, live_id)
    if live.status == "ended":
        raise LiveEnded
    stream_key = make_token(STREAM_KEY_PREFIX)
    await replace_stream_key(connection, live_id, stream_key)
    return stream_key


async def revoke_key(connection: Connection, owner: Identity, live_id: uuid.UUID) -> None:
    """Leave the live without a key that anybody knows, from the commit on. Raises LiveEnded."""
    live = await get_own_live(connection, owner, live_id)
    if live.status == "ended":
        raise LiveEnded
    await revoke_stream_key(connection, live_id, make_token(STREAM_KEY_PREFIX))


async def get_key_hint(connection: Connection, owner: Identity, live_id: uuid.UUID) -> str | None:
    """Return how the key ends that opens the owner's live; None when no key does."""
    live = await get_own_live(connection, owner, live_id)
    return None if live.status == "ended" or not live.key_hint else live.key_hint


async def list_running(
    connection: Connection, owner: str | None, cursor: str | None, limit: int
) -> Page[LiveRow]:
    """List public lives on air, of everybody or of one person, newest start first."""
    before = read_moment_cursor(cursor)
    rows = await list_running_lives(connection, owner=owner, before=before, limit=limit + 1)
    return cut_page(rows, limit, _read_start_key)


async def list_owned(
    connection: Connection, owner: Identity, cursor: str | None, limit: int
) -> Page[LiveRow]:
    """List the caller's lives, newest first."""
    before = read_id_cursor(cursor)
    rows = await list_owned_lives(connection, owner.user_id, before=before, limit=limit + 1)
    return cut_page(rows, limit, lambda live: (str(live.id),))


async def list_history(
    connection: Connection, live: LiveRow, cursor: str | None, limit: int
) -> Page[RoomMessage]:
    """List the room's durable channel, newest first."""
    before: int | None = None
    if cursor is not None:
        part = decode_cursor(cursor, 1)[0]
        if not isinstance(part, int):
            raise CursorMalformed
        before = part
    rows = await list_messages_before(connection, live.id, before, limit + 1)
    return cut_page(rows, limit, lambda message: (message.seq,))


async def make_whip_redirect(
    connection: Connection, settings: Settings, stream_key: str, now: datetime, avoid: str = ""
) -> str:
    """Return the edge address, ticket included, where this key publishes; not one that failed.

    Raises StreamKeyInvalid, LiveTakenDown, LiveEnded, NoEdge.
    """
    live = await get_live_by_key(connection, stream_key)
    if live.status == "ended":
        raise LiveEnded
    last_url = None if live.origin is None else str(live.origin["edge"])
    if live.status == "live":
        # It asks while it counts as sending: its edge, or the way there, fell silent just now.
        avoid, last_url = avoid or last_url or "", None
    edge = decide_ingest(await _list_edges(connection), last_url, avoid)
    claims = {KEY_CLAIM: live.key_mark}
    order = TicketOrder(TicketKind.WHIP, live.id, edge.url, live.owner_id, claims)
    return f"{edge.url}/whip?ticket={issue_ticket(settings.auth, order, now)}"


async def make_whep_redirect(
    connection: Connection,
    settings: Settings,
    live_id: uuid.UUID,
    watcher: Watcher,
) -> str:
    """Return the edge address, ticket included, where this viewer watches.

    Raises LiveNotFound, LiveEnded, LiveNotOnAir, NoEdge.
    """
    live = await get_live(connection, watcher.viewer, live_id)
    if live.status == "ended":
        raise LiveEnded
    if live.status != "live" or live.origin is None:
        raise LiveNotOnAir(retry_after_s=2)
    edge = decide_watch(await _list_edges(connection), str(live.origin["edge"]), watcher.avoid)
    order = _order_ticket(TicketKind.WHEP, live_id, edge, watcher.viewer)
    return f"{edge.url}/whep/{live_id}?ticket={issue_ticket(settings.auth, order, watcher.now)}"


async def make_hls_address(
    connection: Connection, settings: Settings, live: LiveRow, watcher: Watcher
) -> str:
    """Return where this viewer plays a live by HLS, by the same choice as for WebRTC.

    The right to see a live that is not public is part of the address. Raises NoEdge.
    """
    is_on_air = live.status in ("live", "interrupted") and live.origin is not None
    origin_url = str(live.origin["edge"]) if is_on_air and live.origin is not None else None
    edge = decide_watch(await _list_edges(connection), origin_url, watcher.avoid)
    terms = PlaybackTerms(
        settings.auth,
        edge.url.rstrip("/"),
        settings.http.public_url.rstrip("/"),
        watcher.viewer,
        watcher.now,
        watcher.viewer_version,
    )
    base = make_live_base(
        terms, live.id, visibility=live.visibility, access_version=live.access_version
    )
    return f"{base}/{HLS_INDEX}"


def make_socket_ticket(
    settings: Settings, viewer: Identity | None, live_id: uuid.UUID, edge: EdgeEntry, now: datetime
) -> str:
    """Sign the ticket that `join` hands out for the socket's edge."""
    order = _order_ticket(TicketKind.SOCKET, live_id, edge, viewer)
    return issue_ticket(settings.auth, order, now)


def _order_ticket(
    kind: TicketKind, live_id: uuid.UUID, edge: EdgeEntry, viewer: Identity | None
) -> TicketOrder:
    """Order a viewer's ticket; it names their login, whose revocation ends what it opened."""
    if viewer is None:
        return TicketOrder(kind, live_id, edge.url)
    claims = {"session": str(viewer.session_id)}
    return TicketOrder(kind, live_id, edge.url, viewer.user_id, claims)


async def _list_edges(connection: Connection) -> list[EdgeEntry]:
    """Return the edges that take clients; raises NoEdge."""
    edges = await list_live_edges(connection)
    if not edges:
        raise NoEdge(retry_after_s=2)
    return edges


def _read_start_key(live: LiveRow) -> tuple[str, str]:
    assert live.started_at is not None, "a live on air has begun"
    return make_moment_key(live.started_at, live.id)
