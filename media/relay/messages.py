"""What edges say to one another about lives: wanted here, begins, its packets, over.

Links carry them (`actors/link`), several to a frame. A live's packets are RTP with our own
sequence, one stream a kind; a publisher's encodings beside the best are streams of their own.
"""

from __future__ import annotations

import uuid

import msgspec

from media.sfu.layer_selector import LayerFact
from media.sfu.sdp import OfferedCodec


class RelayMessage(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Base of all messages; the class name is the tag."""


class RelayPlace(msgspec.Struct, array_like=True, frozen=True):
    """An edge that relays: what its link calls itself, and where it listens."""

    name: str
    incarnation: int
    address: str


# To the edge that has the live


class RelayWanted(RelayMessage, frozen=True):
    """Relay this live, of this publisher; `place` is where others may have it from the asker."""

    room_id: uuid.UUID
    publisher: str
    place: RelayPlace


class RelayUnwanted(RelayMessage, frozen=True):
    """Nobody watches it here any more."""

    room_id: uuid.UUID


class KeyframeWanted(RelayMessage, frozen=True):
    """A viewer of an encoding (empty: of the main stream) can go on with a keyframe alone."""

    room_id: uuid.UUID
    rid: str = ""


class LayersWanted(RelayMessage, frozen=True):
    """Relay these of the publisher's encodings beside the main stream, and no others."""

    room_id: uuid.UUID
    publisher: str
    rids: list[str]


# From the edge that has the live


class RelayBegun(RelayMessage, frozen=True):
    """Packets of this publisher follow; again: of another one, or in other codecs."""

    room_id: uuid.UUID
    publisher: str
    codecs: dict[str, OfferedCodec]
    rids: list[str] = []
    """The encodings that it sends at once, none unless several."""


class RelayPackets(RelayMessage, frozen=True):
    """RTP packets of one stream, in the order of arrival."""

    room_id: uuid.UUID
    stream: str
    packets: list[bytes]


class RelayLayers(RelayMessage, frozen=True):
    """The encodings, best first, and which of them the main stream carries."""

    room_id: uuid.UUID
    main_rid: str
    layers: list[LayerFact]


class RelayLayerPackets(RelayMessage, frozen=True):
    """RTP packets of one encoding; `clock_shift` brings them to the main stream's timestamps.

    The first ones since it was wanted say so: they follow on nothing.
    """

    room_id: uuid.UUID
    rid: str
    clock_shift: int
    is_first: bool
    packets: list[bytes]


class RelayReport(RelayMessage, frozen=True):
    """`timestamp` of a stream was `ntp_timestamp` (64 bits) on the publisher's clock."""

    room_id: uuid.UUID
    stream: str
    ntp_timestamp: int
    timestamp: int


class RelayEnded(RelayMessage, frozen=True):
    """The publisher is not here, or not any more; `code` says why when it cannot be watched."""

    room_id: uuid.UUID
    code: str = ""


class RelayElsewhere(RelayMessage, frozen=True):
    """This edge relays to as many as it may: have the live from one of these."""

    room_id: uuid.UUID
    places: list[RelayPlace]


ToSource = RelayWanted | RelayUnwanted | KeyframeWanted | LayersWanted
FromSource = (
    RelayBegun
    | RelayPackets
    | RelayLayers
    | RelayLayerPackets
    | RelayReport
    | RelayEnded
    | RelayElsewhere
)
