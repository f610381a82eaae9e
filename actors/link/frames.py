"""The bytes of a link: length-prefixed frames, and the hello that proves the cluster key.

Pure: no sockets. A frame is four bytes of length (big endian) and a msgpack envelope: the sender's
incarnation and a list of messages; an empty list is a heartbeat. In the hello each side shows that
it holds the key by an HMAC over both hellos, so neither proof can be replayed or reflected.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from actors.link.secure import LinkKeys
from kit.errors import AppError, Unavailable

FRAME_BYTES_MAX = 1 << 20
HELLO_BYTES_MAX = 1024
HEADER_BYTES = 4
VERSION = 1
NONCE_BYTES = 32

Message = TypeVar("Message")


class LinkRefused(Unavailable):
    """The other side is away, or did not prove that it belongs to this cluster."""

    code, message = "link_refused", "A part of this site cannot be reached right now."


class LinkGone(LinkRefused):
    """Nobody listens at the address, or another one does: whom we looked for has ended."""

    code = "link_gone"


class LinkUnproven(LinkRefused):
    """One side does not believe the other: a mistake in settings or certificates, or an intruder.

    Says nothing about whether the one we looked for is alive.
    """

    code = "link_unproven"


class LinkLost(Unavailable):
    """The link ended; what was sent last may or may not have arrived."""

    code, message = "link_lost", "The connection to a part of this site was lost; try again."


class FrameRefused(AppError):
    """Bytes that no honest peer sends: too long, malformed, or a type its role may not send."""

    code, status, message = "frame_refused", 400, "A link frame was refused."


class LinkPeer(NamedTuple):
    """One end of a link: its role, its name within the role, and its incarnation."""

    role: str
    name: str
    incarnation: int


@dataclass(frozen=True)
class LinkTerms:
    """What one side brings: itself, the cluster key, what each role may send to it, and its
    certificate for links to other machines.
    """

    me: LinkPeer
    key: str
    accepts: Mapping[str, Any]
    keys: LinkKeys | None = None


class Envelope(msgspec.Struct, Generic[Message], array_like=True, frozen=True):
    """The content of every frame after the hello."""

    incarnation: int
    messages: list[Message]


class Hello(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What each side says of itself; `proof` is empty in the first one of the two."""

    version: int
    role: str
    name: str
    incarnation: int
    nonce: bytes
    proof: bytes = b""


ENCODER = msgspec.msgpack.Encoder()
HELLO_DECODER = msgspec.msgpack.Decoder(Hello)


def make_decoder(accepted: Any) -> msgspec.msgpack.Decoder[Envelope[Any]]:
    """Return a decoder that takes only messages of the given (union) type."""
    return msgspec.msgpack.Decoder(Envelope[accepted])


def frame(payload: bytes) -> bytes:
    """Put the length before a payload; the caller has checked the limit."""
    return len(payload).to_bytes(HEADER_BYTES, "big") + payload


def read_length(header: bytes, limit: int = FRAME_BYTES_MAX) -> int:
    """Return the payload's length; raises FrameRefused beyond `limit`."""
    length = int.from_bytes(header, "big")
    if length > limit:
        raise FrameRefused(f"A frame of {length} bytes is over the limit.")
    return length


def encode_frames(incarnation: int, messages: list[Any]) -> list[bytes]:
    """Write messages as as few frames as the limit allows; raises FrameRefused for a giant one."""
    payload = ENCODER.encode(Envelope(incarnation, messages))
    if len(payload) <= FRAME_BYTES_MAX:
        return [frame(payload)]
    if len(messages) == 1:
        raise FrameRefused(f"A message of {len(payload)} bytes is over the limit.")
    half = len(messages) // 2
    first = encode_frames(incarnation, messages[:half])
    return first + encode_frames(incarnation, messages[half:])


def decode_frame(decoder: msgspec.msgpack.Decoder[Envelope[Any]], payload: bytes) -> Envelope[Any]:
    """Read a frame's content; raises FrameRefused."""
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise FrameRefused(str(error)) from error


def make_hello(me: LinkPeer) -> Hello:
    """Return a fresh hello of this side."""
    return Hello(VERSION, me.role, me.name, me.incarnation, secrets.token_bytes(NONCE_BYTES))


def read_hello(payload: bytes) -> Hello:
    """Read a hello of our version; raises LinkRefused."""
    try:
        hello = HELLO_DECODER.decode(payload)
    except msgspec.MsgspecError as error:
        raise LinkRefused("The hello is malformed.") from error
    if hello.version != VERSION or len(hello.nonce) != NONCE_BYTES:
        raise LinkRefused("The hello is of another version.")
    return hello


def prove(key: str, side: str, opening: Hello, answer: Hello) -> bytes:
    """Return the proof that `side` ("opener" or "answerer") holds the key in this hello."""
    transcript = ENCODER.encode(
        (side, _without_proof(opening), _without_proof(answer), "socialflow link")
    )
    return hmac.new(key.encode(), transcript, hashlib.sha256).digest()


def check_proof(key: str, side: str, opening: Hello, answer: Hello, proof: bytes) -> None:
    """Raise LinkUnproven unless `proof` is the one of `side`."""
    assert key, "cluster.key is made at first start"
    if not hmac.compare_digest(prove(key, side, opening, answer), proof):
        raise LinkUnproven("The other side does not hold the cluster key.")


def name_peer(hello: Hello) -> LinkPeer:
    """Return who a proven hello speaks for."""
    return LinkPeer(hello.role, hello.name, hello.incarnation)


def _without_proof(hello: Hello) -> Hello:
    return msgspec.structs.replace(hello, proof=b"")
