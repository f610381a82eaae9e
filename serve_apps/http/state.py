"""What a request has at hand: the process's ports, the caller, and its one transaction.

Features take these as annotated parameters (`user: CurrentUser`, `connection: Transaction`). The
transaction commits before the answer leaves (see `routes.py`), so an acknowledged write stands.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, cast

from fastapi import Depends, Request

from actors.feed_ranker.client import NewestFirst, RankContext, Ranked
from actors.feed_ranker.messages import Candidate
from actors.hosting.messages import ObjectFacts, Stored
from actors.live_room.entries import Speaker
from actors.live_room.health import HealthShown
from actors.live_room.messages import Membership
from kit.clock import Clock
from kit.errors import NotAuthenticated, Unavailable
from kit.settings import Settings
from serve_apps.access.callers import find_caller
from serve_apps.access.countries import CountryBook
from serve_apps.access.identity import Identity
from serve_apps.access.revocations import RevocationBook
from storage.cache import Cache
from storage.database import Connection, Database
from storage.hosts import HostEntry
from storage.objects import ObjectStore
from storage.rates import RateBook


class RoomCommands(Protocol):
    """What the API may ask of running rooms."""

    async def cut_publisher(self, room_id: uuid.UUID) -> None:
        """End the session of whoever publishes."""
        ...

    async def ask_health(self, room_id: uuid.UUID) -> HealthShown:
        """Return how a live goes; raises RequestFailed or Unavailable's kinds."""
        ...

    async def end_live(self, room_id: uuid.UUID) -> None:
        """End the live now; a room that does not run is ended in storage."""
        ...

    async def send_chat(
        self,
        room_id: uuid.UUID,
        speaker: Speaker,
        client_id: str,
        text: str,
        membership: Membership | None = None,
    ) -> Stored:
        """Write a line; returns once it is stored. Raises RequestFailed or Unavailable's kinds."""
        ...

    async def send_reaction_from_afar(
        self, room_id: uuid.UUID, speaker: Speaker, reaction: str
    ) -> None:
        """Have a reaction counted; raises as `send_chat` does."""
        ...

    async def move_room(self, room_id: uuid.UUID, host_id: str) -> None:
        """Hand a room to another host; returns once it runs there. Raises as `send_chat` does."""
        ...

    async def survey(
        self, host: HostEntry, *, after: uuid.UUID | None, limit: int
    ) -> list[ObjectFacts]:
        """Return what a host runs after a room's id, in order; raises Unavailable's kinds."""
        ...

    async def moderate(self, room_id: uuid.UUID, command: Any) -> None:
        """Have a moderator's command carried out and stored; raises what refuses it."""
        ...


class HostAway(Unavailable):
    """The host does not run, or did not do what was asked in time; look before asking again."""

    code, message = "host_away", "This host does not answer right now; look at its state."


class HostCommands(Protocol):
    """What the API may ask of whole hosts."""

    async def drain(self, host_id: str) -> None:
        """Have it hand over what it runs and rest; raises HostAway."""
        ...

    async def resume(self, host_id: str) -> None:
        """Have it serve again; raises HostAway."""
        ...

    async def is_resting(self, host_id: str) -> bool:
        """Say whether it was drained and its process lives; False when it does not answer."""
        ...


class NoHosts:
    """An API without hosts: none of them answers."""

    async def drain(self, host_id: str) -> None:
        """Refuse."""
        raise HostAway(host=host_id)

    async def resume(self, host_id: str) -> None:
        """Refuse."""
        raise HostAway(host=host_id)

    async def is_resting(self, _host_id: str) -> bool:
        """None does."""
        return False


class FeedRanking(Protocol):
    """Who orders a page of a feed."""

    async def rank(self, candidates: Sequence[Candidate], context: RankContext, /) -> Ranked:
        """Return the ids in the order to read them, within the context's time; never raises."""
        ...


class RelatedRanking(Protocol):
    """Who orders the videos that go with another."""

    async def rank(
        self, video_id: uuid.UUID, candidates: Sequence[uuid.UUID], viewer_id: uuid.UUID | None, /
    ) -> Sequence[uuid.UUID]:
        """Return the candidates to show, the closest first, within a short time; never raises."""
        ...


class ClosestByLabels:
    """The port where no model ranks: as channel, tags and category have it."""

    async def rank(
        self, _video_id: uuid.UUID, candidates: Sequence[uuid.UUID], _viewer: uuid.UUID | None, /
    ) -> Sequence[uuid.UUID]:
        """Return them as they came."""
        return candidates


async def measure_no_hosts() -> dict[str, bytes]:
    """Return what hosts counted where none run."""
    return {}


@dataclass(frozen=True)
class ApiPorts:
    """Everything outside that the API's features use; whoever made it opens and closes it."""

    settings: Settings
    database: Database
    cache: Cache
    objects: ObjectStore
    clock: Clock
    rooms: RoomCommands
    rankers: FeedRanking = field(default_factory=NewestFirst)
    related: RelatedRanking = field(default_factory=ClosestByLabels)
    measure_hosts: Callable[[], Awaitable[dict[str, bytes]]] = measure_no_hosts
    """Ask each living host for its metrics, as Prometheus's text by its name."""
    hosts: HostCommands = field(default_factory=NoHosts)


class RequestTransaction:
    """The one transaction of a request: opened when first asked for, ended by the route."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stack = AsyncExitStack()
        self._connection: Connection | None = None

    async def open(self) -> Connection:
        """Return the transaction's connection; raises DatabaseBusy when none comes in time."""
        if self._connection is None:
            self._connection = await self._stack.enter_async_context(self._database.transaction())
        return self._connection

    async def __aenter__(self) -> RequestTransaction:
        await self._stack.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> bool | None:
        self._connection = None
        return await self._stack.__aexit__(*details)  # type: ignore[arg-type]  # same triple


def get_ports(request: Request) -> ApiPorts:
    """Return the process's ports."""
    return cast(ApiPorts, request.app.state.ports)


def get_rates(request: Request) -> RateBook:
    """Return the process's rate counters."""
    return cast(RateBook, request.app.state.rates)


def get_countries(request: Request) -> CountryBook:
    """Return what the process knows of where addresses lie."""
    return cast(CountryBook, request.app.state.countries)


def get_revocations(request: Request) -> RevocationBook:
    """Return the process's book of revoked sessions."""
    return cast(RevocationBook, request.app.state.revocations)


def get_address(request: Request) -> str:
    """Return the caller's address as edges find it: the peer's, or what trusted proxies say."""
    peer = request.client.host if request.client is not None else "unknown"
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
    return find_caller(peer, forwarded, get_ports(request).settings.http.trusted_proxies)


def find_identity(request: Request) -> Identity | None:
    """Return who calls, None when anonymous or when their token does not count."""
    return cast("Identity | None", getattr(request.state, "identity", None))


def find_viewer(request: Request) -> Identity | None:
    """Return who calls, None when anonymous; a token that does not count is refused (401)."""
    refusal = getattr(request.state, "token_refusal", None)
    if refusal is not None:
        raise refusal
    return find_identity(request)


def get_viewer(request: Request) -> Identity:
    """Return who calls; raises NotAuthenticated."""
    identity = find_viewer(request)
    if identity is None:
        raise NotAuthenticated
    return identity


async def open_transaction(request: Request) -> Connection:
    """Return the connection of this request's transaction."""
    unit = cast(RequestTransaction, request.state.transaction)
    return await unit.open()


Ports = Annotated[ApiPorts, Depends(get_ports)]
Rates = Annotated[RateBook, Depends(get_rates)]
Revocations = Annotated[RevocationBook, Depends(get_revocations)]
CurrentUser = Annotated[Identity, Depends(get_viewer)]
OptionalUser = Annotated[Identity | None, Depends(find_viewer)]
Transaction = Annotated[Connection, Depends(open_transaction)]
