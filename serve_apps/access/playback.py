"""Where an edge is reached: its socket, and media with the viewer's right in the path.

Whether the viewer may see the video or live is decided with `visibility.can_view`, after the terms
were made: whoever loses a right meanwhile gets an address that is void already.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from kit.setting_sections import AuthSettings
from kit.settings import Settings
from serve_apps.access.grants import Grant, issue_grant
from serve_apps.access.identity import Identity
from serve_apps.access.visibility import Visibility
from storage.database import Connection
from storage.edges import list_live_edges
from storage.users import find_access_version

OPEN_VISIBILITIES = (Visibility.PUBLIC, Visibility.UNLISTED)


@dataclass(frozen=True)
class PlaybackTerms:
    """What playback addresses are made of: the edge, the keys, the viewer, the moment."""

    auth: AuthSettings
    edge_url: str
    site_url: str
    """Of the API and the page."""
    viewer: Identity | None
    now: datetime
    viewer_version: int = 0
    """Of what the viewer may see (`storage.users.find_access_version`)."""


async def make_terms(
    connection: Connection, settings: Settings, viewer: Identity | None, now: datetime
) -> PlaybackTerms:
    """Say where, and under which right, a viewer plays; before it is decided what they may see."""
    version = await find_viewer_version(connection, viewer)
    edge_url = await choose_edge(connection, settings)
    site_url = settings.http.public_url.rstrip("/")
    return PlaybackTerms(settings.auth, edge_url, site_url, viewer, now, version)


async def find_viewer_version(connection: Connection, viewer: Identity | None) -> int:
    """Return the version that grants to this viewer carry; 0: anonymous."""
    return 0 if viewer is None else await find_access_version(connection, viewer.user_id)


async def choose_edge(connection: Connection, settings: Settings) -> str:
    """Return the address of the least loaded edge, of the first one while none has reported."""
    edges = await list_live_edges(connection)
    if edges:
        return edges[0].url.rstrip("/")
    return f"http://{settings.edge.public_host}:{settings.edge.port}"


def make_socket_url(edge_url: str) -> str:
    """Return the WebSocket address of an edge."""
    return edge_url.replace("http", "ws", 1).rstrip("/") + "/ws"


def make_video_base(
    terms: PlaybackTerms, video_id: uuid.UUID, *, visibility: str, access_version: int
) -> str:
    """Return the folder of a video's files, behind `/t/{grant}` unless it is open to everyone."""
    return f"{_open_way(terms, video_id, visibility, access_version)}/v/{video_id}"


def make_live_base(
    terms: PlaybackTerms, live_id: uuid.UUID, *, visibility: str, access_version: int
) -> str:
    """Return the folder of a live, behind `/t/{grant}` unless a stranger may see it.

    People get a grant for what is open, too: whoever watches counts as themselves.
    """
    if terms.viewer is None:
        return f"{_open_way(terms, live_id, visibility, access_version)}/live/{live_id}"
    return f"{_make_way(terms, live_id, access_version)}/live/{live_id}"


def _open_way(
    terms: PlaybackTerms, resource: uuid.UUID, visibility: str, access_version: int
) -> str:
    if visibility in OPEN_VISIBILITIES:
        return terms.edge_url
    return _make_way(terms, resource, access_version)


def _make_way(terms: PlaybackTerms, resource: uuid.UUID, access_version: int) -> str:
    grant = Grant(
        resource=resource,
        viewer=terms.viewer.user_id if terms.viewer else None,
        session=terms.viewer.session_id if terms.viewer else None,
        access_version=access_version,
        viewer_version=terms.viewer_version,
        expires_at_s=terms.now.timestamp() + terms.auth.grant_ttl_s,
    )
    return f"{terms.edge_url}/t/{issue_grant(terms.auth, grant)}"
