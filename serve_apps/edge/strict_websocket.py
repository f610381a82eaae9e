"""aiohttp's WebSocket with our own reader: strict about RFC 6455, and without compression.

aiohttp lets unmasked frames, empty first fragments and close code 1006 pass and looks at text only
when its message is whole. Its handshake, pings and closing stay as they are.
"""

from __future__ import annotations

import asyncio

from aiohttp import WSMessage, WSMsgType, web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http_websocket import WebSocketError, WebSocketWriter
from aiohttp.web_request import BaseRequest

from serve_apps.edge.frame_reader import FrameKind, FrameMessage, FrameReader, ProtocolBroken

QUEUE_BYTES_MAX = 64 << 10
"""Of messages that wait for their handler; beyond it nothing more is read from the peer."""


class StrictWebSocket(web.WebSocketResponse):
    """One WebSocket; a message larger than `message_bytes_max` ends it with 1009."""

    def __init__(self, message_bytes_max: int, ping_every_s: float) -> None:
        super().__init__(heartbeat=ping_every_s, max_msg_size=message_bytes_max, compress=False)
        self._frames = FrameReader(message_bytes_max)

    def _post_start(
        self, request: BaseRequest, protocol: str | None, writer: WebSocketWriter
    ) -> None:
        """Stand where aiohttp puts its own reader; frames may have come with the handshake."""
        self._ws_protocol, self._writer = protocol, writer
        self._reset_heartbeat()
        self._reader = WebSocketDataQueue(
            request.protocol, QUEUE_BYTES_MAX // 2, loop=asyncio.get_running_loop()
        )
        request.protocol.set_parser(self, data_received_cb=self._on_data_received)  # type: ignore[arg-type]  # it calls feed_data and feed_eof alone
        request.protocol.keep_alive(False)

    # What aiohttp's protocol asks of a parser

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take bytes of the peer; (True, ...) ends the reading."""
        assert self._reader is not None, "prepare() comes first"
        try:
            for message in self._frames.feed(bytes(data)):
                self._reader.feed_data(_as_message(message), len(message.text) + len(message.data))
        except ProtocolBroken as broken:
            self._reader.set_exception(WebSocketError(broken.code, str(broken)))
            return True, b""
        return False, b""

    def feed_eof(self) -> None:
        """The peer is gone."""
        assert self._reader is not None, "prepare() comes first"
        self._reader.feed_eof()


def _as_message(message: FrameMessage) -> WSMessage:
    if message.kind is FrameKind.TEXT:
        return WSMessage(WSMsgType.TEXT, message.text, "")
    if message.kind is FrameKind.CLOSE:
        return WSMessage(WSMsgType.CLOSE, message.close_code, message.text)
    return WSMessage(WSMsgType(message.kind), message.data, "")
