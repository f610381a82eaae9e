"""What the forwarding plane refuses, one class per fact; the edge turns them into answers."""

from __future__ import annotations

from kit.errors import AppError


class OfferMalformed(AppError):
    """The SDP offer cannot be read, or asks for a transport that WHIP and WHEP forbid."""

    code, status, message = "offer_malformed", 400, "The SDP offer is not valid."


class NoSupportedCodec(AppError):
    """The offer holds no codec that this room can take or give."""

    code, status, message = "no_supported_codec", 406, "None of the offered codecs fits this room."


class RoomNotLive(AppError):
    """Nobody publishes in the room, so there is nothing to watch."""

    code, status, message = "room_not_live", 409, "This room is not live."
    retryable = True


class RoomFull(AppError):
    """The room holds as many viewers as this edge lets it."""

    code, status, message = "room_full", 503, "This room is full on this edge."
    retryable = True


class SfuFull(AppError):
    """This edge holds as many rooms or sessions as it may, or is not running."""

    code, status, message = "sfu_full", 503, "This edge takes no more sessions; try another."
    retryable = True


class PicturesOutOfOrder(AppError):
    """The encoder sends B-frames, which WebRTC cannot show; HLS carries them."""

    code, status = "b_frames", 409
    message = "The encoder sends B-frames, which WebRTC cannot show; the live plays by HLS."


class SessionEnded(AppError):
    """The session ended or never was."""

    code, status, message = "session_not_found", 404, "This session has ended."


class LayerUnknown(AppError):
    """A viewer chose an encoding that its publisher does not send."""

    code, status, message = "layer_unknown", 400, "The publisher sends no such encoding."


class FragmentMalformed(AppError):
    """The body of a PATCH is no fragment of SDP."""

    code, status, message = "fragment_malformed", 400, "The SDP fragment is not valid."


class EtagMissing(AppError):
    """A PATCH must say which ICE session it means (RFC 9725 §4.3.1)."""

    code, status, message = "etag_missing", 428, "Say which ICE session is meant: If-Match."


class EtagDiffers(AppError):
    """A PATCH means an ICE session that is no longer the present one."""

    code, status, message = "etag_differs", 412, "The ICE session was restarted since."
