"""One route: the address of an edge's socket, to be asked again after any failure."""

from __future__ import annotations

from pydantic import BaseModel, Field

from kit.errors import Unavailable
from serve_apps.access.permissions import Permission
from serve_apps.access.placing import list_usable
from serve_apps.access.playback import make_socket_url
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import AvoidedEdge
from serve_apps.http.state import Transaction
from storage.edges import list_live_edges

routes = Routes("/realtime", "realtime")


class NoSocket(Unavailable):
    """No edge takes sockets right now."""

    code, message = "no_socket", "Live updates are away right now; try again in a few seconds."


class RealtimeBody(BaseModel):
    """Where to connect."""

    socket: str = Field(examples=["ws://localhost:8001/ws"])


@routes.get(
    "",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="Get the address of a WebSocket for live updates.",
    errors=(NoSocket,),
)
async def get_realtime(connection: Transaction, avoid: AvoidedEdge = "") -> RealtimeBody:
    """Choose the least loaded edge, not one that just failed."""
    edges = await list_live_edges(connection)
    if not edges:
        raise NoSocket(retry_after_s=2)
    return RealtimeBody(socket=make_socket_url(list_usable(edges, avoid)[0].url))
