"""Listens for links on a Unix socket, for other machines on a TLS port too; keeps the open ones.

A host owns one. A stranger costs a task for at most two seconds and never more than
`PENDING_MAX` at a time. The socket file belongs to one incarnation and goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from pathlib import Path
from typing import Any

from actors.link.frames import LinkTerms
from actors.link.link import Link, LinkOwner
from actors.link.opening import SOCKET_PATH_BYTES_MAX, answer_link
from actors.link.secure import UNIX, join_addresses, make_tls_address
from kit.errors import AppError
from kit.logs import get_log

log = get_log("link")

PENDING_MAX = 64
LINKS_MAX = 256


class SocketPathTooLong(AppError):
    """Unix socket paths end at 107 bytes; use a shorter home folder."""

    code, message = "socket_path_too_long", "The run folder's path is too long for a socket."


class LinkServer:
    """Accepts links under `terms`; its owner hears of each through `LinkOwner`.

    With a `host` it listens there as well, on a free port, for openers on other machines.
    """

    def __init__(self, path: Path, terms: LinkTerms, owner: LinkOwner, *, host: str = "") -> None:
        assert not host or terms.keys is not None, "other machines are shown a certificate"
        self._path = path
        self._terms = terms
        self._owner = owner
        self._host = host
        self._servers: list[asyncio.Server] = []
        self._tls_address = ""
        self._pending: set[asyncio.Task[Any]] = set()
        self._links: set[Link] = set()

    @property
    def address(self) -> str:
        """What openers choose from, by `choose_address`."""
        near = f"{UNIX}{self._path}"
        return join_addresses(near, self._tls_address) if self._tls_address else near

    async def start(self) -> None:
        """Listen; raises SocketPathTooLong or OSError (unusable keys among them)."""
        if len(str(self._path).encode()) > SOCKET_PATH_BYTES_MAX:
            raise SocketPathTooLong(f"{self._path} is longer than {SOCKET_PATH_BYTES_MAX} bytes.")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        near = functools.partial(self._accept, None)
        self._servers.append(await asyncio.start_unix_server(near, self._path))
        self._path.chmod(0o600)
        if self._host and self._terms.keys is not None:
            far = functools.partial(self._accept, self._terms.keys.make_context(is_server=True))
            server = await asyncio.start_server(far, self._host, 0)
            self._servers.append(server)
            self._tls_address = make_tls_address(self._host, server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end every link."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        self._path.unlink(missing_ok=True)
        for task in list(self._pending):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for link in list(self._links):
            await link.close()

    def forget(self, link: Link) -> None:
        """Drop a lost link; its owner calls this from `on_link_lost`."""
        self._links.discard(link)

    async def _accept(
        self,
        tls: ssl.SSLContext | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio runs this in a task"
        if len(self._pending) >= PENDING_MAX or len(self._links) >= LINKS_MAX:
            log.warning("link.server_full", links=len(self._links))
            writer.close()
            return
        self._pending.add(task)
        try:
            link = await answer_link((reader, writer), self._terms, self._owner, tls)
        finally:
            self._pending.discard(task)
        if link is None:
            log.warning("link.stranger_refused")
        elif link.is_open:
            self._links.add(link)
