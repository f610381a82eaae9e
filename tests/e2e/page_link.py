"""A link of ours between a page's WebRTC and an edge, for tests whose thread is Playwright's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.media.sfu.impaired_link import HERE, ImpairedLink

PATIENCE_S = 60
# The edge's answers name the link's port; counted, they are the sessions that the page opened.
DETOUR = """
;{
  window.sessionsOpened = 0;
  const set = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function ({type, sdp}) {
    window.sessionsOpened++;
    return set.call(this, {type, sdp: sdp.replace(/\\S+ FROM typ host/g, 'HERE TO typ host')});
  };
}
"""


def make_detour(edge_port: int, link: ImpairedLink) -> str:
    """Return what a page begins with whose media takes the link to an edge."""
    ends = {"FROM": str(edge_port), "HERE": HERE, "TO": str(link.port)}
    script = DETOUR
    for name, value in ends.items():
        script = script.replace(name, value)
    return script


@contextmanager
def lend_link(edge_port: int, seed: int = 1) -> Iterator[ImpairedLink]:
    """Lend a link to an edge of this machine, on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> ImpairedLink:
        link = ImpairedLink((HERE, edge_port), seed)
        await link.start()
        return link

    async def close(link: ImpairedLink) -> None:
        link.close()

    try:
        link = asyncio.run_coroutine_threadsafe(start(), loop).result(PATIENCE_S)
        try:
            yield link
        finally:
            asyncio.run_coroutine_threadsafe(close(link), loop).result(PATIENCE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
