"""A TURN server for tests (RFC 8656 over TCP): one client, credentials by a shared secret.

Takes what `serve_apps.edge.ice_servers` hands out and nothing else, and relays by channels.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from typing import cast

from aioice import stun
from aioice.turn import make_integrity_key

REALM = "test"
NONCE = b"0123456789abcdef"
LIFETIME_S = 600
UNAUTHORIZED = (401, "Unauthorized")


class RelaySocket(asyncio.DatagramProtocol):
    """The relayed address: what peers send there goes to the client."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self._client = client
        self.channels: dict[tuple[str, int], int] = {}
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Pass a peer's datagram on through its channel (§12.7)."""
        channel = self.channels.get(addr[:2])
        if channel is not None:
            head = channel.to_bytes(2, "big") + len(data).to_bytes(2, "big")
            self._client.write(head + data + bytes(-len(data) % 4))

    def send(self, channel: int, data: bytes) -> None:
        """Send the client's datagram to the peer of a channel."""
        for address, number in self.channels.items():
            if number == channel and self.transport is not None:
                self.transport.sendto(data, address)


class TurnRelay:
    """Listens on loopback; `port` is its own, `relayed` the address that peers see."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self.port = 0
        self.relayed = ("", 0)
        self.refused = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client until it goes."""
        relay: RelaySocket | None = None
        loop = asyncio.get_running_loop()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(4)
                size = int.from_bytes(head[2:], "big")
                if head[0] & 0xC0 == 0x40:
                    data = await reader.readexactly(size + -size % 4)
                    if relay is not None:
                        relay.send(int.from_bytes(head[:2], "big"), data[:size])
                    continue
                raw = head + await reader.readexactly(16 + size)
                request = stun.parse_message(raw)
                key = self._find_key(request)
                if key is None:
                    self.refused += 1
                    writer.write(bytes(self._refuse(request)))
                    continue
                if request.message_method is stun.Method.ALLOCATE:
                    relay = RelaySocket(writer)
                    await loop.create_datagram_endpoint(
                        lambda made=relay: made, local_addr=("127.0.0.1", 0)
                    )
                    assert relay.transport is not None
                    self.relayed = relay.transport.get_extra_info("sockname")[:2]
                elif request.message_method is stun.Method.CHANNEL_BIND and relay is not None:
                    peer = request.attributes["XOR-PEER-ADDRESS"]
                    relay.channels[peer] = request.attributes["CHANNEL-NUMBER"]
                writer.write(bytes(self._grant(request, key, writer)))
        if relay is not None and relay.transport is not None:
            relay.transport.close()
        writer.close()

    def _find_key(self, request: stun.Message) -> bytes | None:
        """Return the key of a request whose name has not ended and whose password is ours."""
        name = str(request.attributes.get("USERNAME", ""))
        if "MESSAGE-INTEGRITY" not in request.attributes or int(name.split(":")[0]) < time.time():
            return None
        digest = hmac.digest(self._secret, name.encode(), hashlib.sha1)
        key = make_integrity_key(name, REALM, base64.b64encode(digest).decode())
        return key if request.check_message_integrity(key) else None

    def _refuse(self, request: stun.Message) -> stun.Message:
        words = {"ERROR-CODE": UNAUTHORIZED, "REALM": REALM, "NONCE": NONCE}
        method, number = request.message_method, request.transaction_id
        return stun.Message(method, stun.Class.ERROR, number, words)

    def _grant(
        self, request: stun.Message, key: bytes, writer: asyncio.StreamWriter
    ) -> stun.Message:
        method, number = request.message_method, request.transaction_id
        answer = stun.Message(method, stun.Class.RESPONSE, number)
        if method is stun.Method.ALLOCATE:
            answer.attributes["XOR-RELAYED-ADDRESS"] = self.relayed
            answer.attributes["XOR-MAPPED-ADDRESS"] = writer.get_extra_info("peername")[:2]
        answer.attributes["LIFETIME"] = LIFETIME_S
        answer.add_message_integrity(key)
        return answer


@contextlib.asynccontextmanager
async def run_turn_relay(secret: str) -> AsyncIterator[TurnRelay]:
    """Run the server on a free port."""
    relay = TurnRelay(secret)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    async with server:
        yield relay
