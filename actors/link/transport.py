"""How this product's links are accepted and opened: a Unix socket on one machine, TLS to others.

Hosts listen through it, edges and the API open through it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from actors.link.frames import LinkPeer, LinkTerms
from actors.link.link import Link, LinkOwner
from actors.link.opening import open_link
from actors.link.secure import LinkKeys, choose_address
from actors.link.server import LinkServer
from kit.settings import Settings


@dataclass(frozen=True)
class LinkTransport:
    """Links of the processes of one installation.

    `folder` is where this machine's sockets are. With `keys`, links to other machines are opened
    too, and with a `host` they are accepted there.
    """

    folder: Path
    key: str
    keys: LinkKeys | None = None
    host: str = ""

    @classmethod
    def within(cls, settings: Settings) -> Self:
        """Return the transport of an installation, without other machines when it has no keys."""
        keys = LinkKeys.within(settings.keys_folder)
        has_keys = keys.certificate.exists()
        return cls(
            settings.run_folder,
            settings.cluster.key,
            keys if has_keys else None,
            settings.cluster.host if has_keys else "",
        )

    async def listen(
        self, me: LinkPeer, accepts: Mapping[str, Any], owner: LinkOwner
    ) -> LinkServer:
        """Accept links of the roles in `accepts`, for this incarnation alone."""
        path = self.folder / f"{me.name}-{me.incarnation}.sock"
        terms = LinkTerms(me, self.key, accepts, self.keys)
        server = LinkServer(path, terms, owner, host=self.host)
        await server.start()
        return server

    async def open(
        self, address: str, ends: tuple[LinkPeer, LinkPeer], accepted: Any, owner: LinkOwner
    ) -> Link:
        """Open a link between (me, expected peer) the nearest way; raises LinkRefused."""
        me, peer = ends
        terms = LinkTerms(me, self.key, {peer.role: accepted}, self.keys)
        return await open_link(choose_address(address, self.folder), terms, peer, owner)
