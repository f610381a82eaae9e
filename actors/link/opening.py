"""Opening and answering links: the hello, with a deadline, before any message passes.

`unix:/path` leads to a socket in a 0700 folder, which only this user's processes reach;
`tls://host:port` to another machine. Raises LinkRefused for everything that keeps a link from
opening; LinkGone and LinkUnproven say more about why.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl

import msgspec

from actors.link.frames import (
    ENCODER,
    HEADER_BYTES,
    HELLO_BYTES_MAX,
    FrameRefused,
    LinkGone,
    LinkPeer,
    LinkRefused,
    LinkTerms,
    LinkUnproven,
    check_proof,
    frame,
    make_hello,
    name_peer,
    prove,
    read_hello,
    read_length,
)
from actors.link.link import Link, LinkOwner, LinkParts
from actors.link.secure import TLS, UNIX, read_tls_address

HELLO_TIMEOUT_S = 2.0
"""Longer than silence is borne on an open link: a busy peer shall not be taken for a dead one."""
CLOSE_TIMEOUT_S = 1.0
SOCKET_PATH_BYTES_MAX = 107
GONE = {errno.ECONNREFUSED, errno.ENOENT}

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def open_link(address: str, terms: LinkTerms, expected: LinkPeer, owner: LinkOwner) -> Link:
    """Open a link to `expected` at `address` within two seconds; raises LinkRefused."""
    writer = None
    try:
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            reader, writer = await _connect(address, terms)
            await _say_hello((reader, writer), terms, expected)
    except BaseException as error:
        await _abandon(writer)
        refusal = _explain(error)
        if refusal is None:
            raise
        raise refusal from error
    link = Link(LinkParts(reader, writer, terms.me, expected, terms.accepts[expected.role], owner))
    link.start()
    return link


async def answer_link(
    streams: Streams, terms: LinkTerms, owner: LinkOwner, tls: ssl.SSLContext | None = None
) -> Link | None:
    """Answer the hello of whoever connected; None (and a closed connection) when it fails.

    `tls` is for a connection that must begin with a handshake; it is within the same deadline.
    """
    reader, writer = streams
    try:
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            if tls is not None:
                await writer.start_tls(tls)
            peer = await _answer_hello(streams, terms)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, FrameRefused, LinkRefused):
        await _abandon(writer)
        return None
    link = Link(LinkParts(reader, writer, terms.me, peer, terms.accepts[peer.role], owner))
    link.start()
    return link


async def _connect(address: str, terms: LinkTerms) -> Streams:
    """Connect; what a stranger could answer in plain text is never read on a TLS address."""
    if address.startswith(UNIX):
        return await asyncio.open_unix_connection(address.removeprefix(UNIX))
    if not address.startswith(TLS) or terms.keys is None:
        raise LinkRefused(f"There is no way to {address!r} from here.")
    try:
        host, port = read_tls_address(address)
        context = terms.keys.make_context(is_server=False)
    except (OSError, ValueError) as error:
        raise LinkUnproven(f"No link can be opened to {address!r}: {error}") from error
    return await asyncio.open_connection(host, port, ssl=context, server_hostname=host)


def _explain(error: BaseException) -> LinkRefused | None:
    """Return what a failure to open means; None for what is not one."""
    if isinstance(error, ssl.SSLError):
        return LinkUnproven(f"The certificates do not agree: {error.reason}.")
    if isinstance(error, OSError) and error.errno in GONE:
        return LinkGone()
    if isinstance(error, OSError | asyncio.IncompleteReadError | FrameRefused):
        return LinkRefused()
    return None


async def _say_hello(streams: Streams, terms: LinkTerms, expected: LinkPeer) -> None:
    _, writer = streams
    opening = make_hello(terms.me)
    writer.write(frame(ENCODER.encode(opening)))
    answer = read_hello(await _read_hello(streams))
    check_proof(terms.key, "answerer", opening, answer, answer.proof)
    if name_peer(answer) != expected:
        raise LinkGone("Somebody else answers at this address.")
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
