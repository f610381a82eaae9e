"""How this product's links are accepted and opened: Unix sockets in one folder, one cluster key.

Hosts listen through it, edges and the API open through it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actors.link.frames import LinkPeer, LinkTerms
from actors.link.link import Link, LinkOwner
from actors.link.opening import open_link
from actors.link.server import LinkServer


class UnixTransport:
    """Links of processes that share `folder` and the cluster key."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._key = key

    async def listen(
        self, me: LinkPeer, accepts: Mapping[str, Any], owner: LinkOwner
    ) -> LinkServer:
        """Accept links of the roles in `accepts` at a socket of this incarnation."""
        path = self._folder / f"{me.name}-{me.incarnation}.sock"
        server = LinkServer(path, LinkTerms(me, self._key, accepts), owner)
        await server.start()
        return server

    async def open(
        self, address: str, ends: tuple[LinkPeer, LinkPeer], accepted: Any, owner: LinkOwner
    ) -> Link:
        """Open a link between (me, expected peer); raises LinkRefused."""
        me, peer = ends
        return await open_link(
            address, LinkTerms(me, self._key, {peer.role: accepted}), peer, owner
        )
