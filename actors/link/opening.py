"""Opening and answering links: the hello, with a deadline, before any message passes.

Addresses are `unix:/path`; the folder is 0700, so only this user's processes reach the socket.
Raises LinkRefused for everything that keeps a link from opening.
"""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from actors.link.frames import (
    ENCODER,
    HEADER_BYTES,
    HELLO_BYTES_MAX,
    FrameRefused,
    LinkPeer,
    LinkRefused,
    LinkTerms,
    check_proof,
    frame,
    make_hello,
    name_peer,
    prove,
    read_hello,
    read_length,
)
from actors.link.link import Link, LinkOwner, LinkParts

HELLO_TIMEOUT_S = 2.0
"""Longer than silence is borne on an open link: a busy peer shall not be taken for a dead one."""
CLOSE_TIMEOUT_S = 1.0
UNIX = "unix:"
SOCKET_PATH_BYTES_MAX = 107

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def open_link(address: str, terms: LinkTerms, expected: LinkPeer, owner: LinkOwner) -> Link:
    """Open a link to `expected` at `address` within two seconds; raises LinkRefused."""
    if not address.startswith(UNIX):
        raise LinkRefused(f"There is no way to {address!r} from here.")
    writer = None
    try:
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(address.removeprefix(UNIX))
            await _say_hello((reader, writer), terms, expected)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, FrameRefused) as error:
        await _abandon(writer)
        raise LinkRefused from error
    except BaseException:
        await _abandon(writer)
        raise
    link = Link(LinkParts(reader, writer, terms.me, expected, terms.accepts[expected.role], owner))
    link.start()
    return link


async def answer_link(streams: Streams, terms: LinkTerms, owner: LinkOwner) -> Link | None:
    """Answer the hello of whoever connected; None (and a closed connection) when it fails."""
    reader, writer = streams
    try:
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            peer = await _answer_hello(streams, terms)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, FrameRefused, LinkRefused):
        await _abandon(writer)
        return None
    link = Link(LinkParts(reader, writer, terms.me, peer, terms.accepts[peer.role], owner))
    link.start()
    return link


async def _say_hello(streams: Streams, terms: LinkTerms, expected: LinkPeer) -> None:
    _, writer = streams
    opening = make_hello(terms.me)
    writer.write(frame(ENCODER.encode(opening)))
    answer = read_hello(await _read_hello(streams))
    check_proof(terms.key, "answerer", opening, answer, answer.proof)
    if name_peer(answer) != expected:
        raise LinkRefused("Somebody else answers at this address.")
    writer.write(frame(prove(terms.key, "opener", opening, answer)))
    await writer.drain()


async def _answer_hello(streams: Streams, terms: LinkTerms) -> LinkPeer:
    _, writer = streams
    opening = read_hello(await _read_hello(streams))
    if opening.role not in terms.accepts:
        raise LinkRefused("This role has no business here.")
    answer = make_hello(terms.me)
    answer = msgspec.structs.replace(answer, proof=prove(terms.key, "answerer", opening, answer))
    writer.write(frame(ENCODER.encode(answer)))
    check_proof(terms.key, "opener", opening, answer, await _read_hello(streams))
    return name_peer(opening)


async def _read_hello(streams: Streams) -> bytes:
    reader, _ = streams
    length = read_length(await reader.readexactly(HEADER_BYTES), HELLO_BYTES_MAX)
    return await reader.readexactly(length)


async def _abandon(writer: asyncio.StreamWriter | None) -> None:
    if writer is not None:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await writer.wait_closed()
