"""The encodings of a WHEP session: which there are, which plays, and the choice by hand.

`whip.py` gives these handlers their addresses. The choice is the layer extension of WHEP
(draft-murillo-whep-01 §4.8.2: POST `mediaId`, `encodingId`); the list is ours.
"""

from __future__ import annotations

import orjson
from aiohttp import web

from kit.errors import AppError
from media.sfu.layer_access import LayerChoice
from serve_apps.edge.bodies import read_bounded
from serve_apps.edge.media_sessions import MediaSessions

LAYER_EXTENSION = "urn:ietf:params:whep:ext:core:layer"
JSON_TYPE = "application/json"
BODY_BYTES_MAX = 4096
ID_CHARS_MAX = 64


class LayerMalformed(AppError):
    """The body names no encoding as the extension wants it."""

    code, status = "layer_malformed", 400
    message = 'Name an encoding as {"encodingId": "…"}, or send {} to have it chosen for you.'


class LayerRoutes:
    """Handlers of a session's layers."""

    def __init__(self, sessions: MediaSessions) -> None:
        self._sessions = sessions

    async def show(self, request: web.Request) -> web.StreamResponse:
        """List the encodings; raises SessionEnded."""
        return _send_choice(self._sessions.get_layers(request.match_info["session_id"]))

    async def choose(self, request: web.Request) -> web.StreamResponse:
        """Pin the session to an encoding, or unpin it.

        Raises SessionEnded, LayerUnknown, LayerMalformed, BodyLate, BodyMalformed.
        """
        rid = _read_encoding(await read_bounded(request, BODY_BYTES_MAX))
        return _send_choice(self._sessions.choose_layer(request.match_info["session_id"], rid))


def _read_encoding(body: bytes | None) -> str | None:
    """Return the encoding a body names, None for the automatic choice; raises LayerMalformed."""
    if body is None:
        raise LayerMalformed
    try:
        wish = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise LayerMalformed from error
    if not isinstance(wish, dict):
        raise LayerMalformed
    rid = wish.get("encodingId")
    if rid is not None and not (isinstance(rid, str) and 0 < len(rid) <= ID_CHARS_MAX):
        raise LayerMalformed
    return rid


def _send_choice(choice: LayerChoice) -> web.Response:
    body = {
        "layers": [
            {
                "encodingId": layer.rid,
                "width": layer.width,
                "height": layer.height,
                "bitrate": layer.bitrate_bps,
                "active": layer.is_active,
            }
            for layer in choice.layers
        ],
        "playing": choice.playing,
        "chosen": choice.pinned,
    }
    return web.Response(body=orjson.dumps(body), content_type=JSON_TYPE)
