"""Listens for links on a Unix socket and keeps the open ones.

A host owns one. A stranger costs a task for at most a second and never more than
`PENDING_MAX` at a time. The socket file belongs to one incarnation and goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from actors.link.frames import LinkTerms
from actors.link.link import Link, LinkOwner
from actors.link.opening import SOCKET_PATH_BYTES_MAX, UNIX, answer_link
from kit.errors import AppError
from kit.logs import get_log

log = get_log("link")

PENDING_MAX = 64
LINKS_MAX = 256


class SocketPathTooLong(AppError):
    """Unix socket paths end at 107 bytes; use a shorter home folder."""

    code, message = "socket_path_too_long", "The run folder's path is too long for a socket."


class LinkServer:
    """Accepts links under `terms`; its owner hears of each through `LinkOwner`."""

    def __init__(self, path: Path, terms: LinkTerms, owner: LinkOwner) -> None:
        self._path = path
        self._terms = terms
        self._owner = owner
        self._server: asyncio.Server | None = None
        self._pending: set[asyncio.Task[Any]] = set()
        self._links: set[Link] = set()

    @property
    def address(self) -> str:
        """What openers connect to."""
        return f"{UNIX}{self._path}"

    async def start(self) -> None:
        """Listen; raises SocketPathTooLong or OSError."""
        if len(str(self._path).encode()) > SOCKET_PATH_BYTES_MAX:
            raise SocketPathTooLong(f"{self._path} is longer than {SOCKET_PATH_BYTES_MAX} bytes.")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._accept, self._path)
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Stop listening and end every link."""
        server, self._server = self._server, None
        if server is not None:
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

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio runs this in a task"
        if len(self._pending) >= PENDING_MAX or len(self._links) >= LINKS_MAX:
            log.warning("link.server_full", links=len(self._links))
            writer.close()
            return
        self._pending.add(task)
        try:
            link = await answer_link((reader, writer), self._terms, self._owner)
        finally:
            self._pending.discard(task)
        if link is None:
            log.warning("link.stranger_refused")
        elif link.is_open:
            self._links.add(link)
