"""All backends put the same bytes on the wire, and an independent receiver reads them."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pylibsrtp
import pytest
from pylibsrtp import Policy, Session

from kit.clock import ManualClock
from media.sfu.egress import EgressJob
from media.sfu.egress_probe import BACKENDS, choose_egress, is_working
from media.sfu.fanout import FanoutGroup, StreamFormat, decide_shift
from media.sfu.packets_out import OutPacket
from media.sfu.srtp import PROFILES, SrtpKeys, SrtpPair, SrtpProfile
from media.sfu.track import TrackPacket

pytestmark = pytest.mark.media

SIZES = (1100, 1100, 1100, 640, 1344, 1344, 20, 900)


class Wire:
    """A real socket to send from, and no loop: what does not fit is a failure here.

    Nobody is to be out of time, either: the clock of these tests stands still.
    """

    def __init__(self, family: int, host: str) -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self.socket.bind((host, 0))
        self.family = family

    def fileno(self) -> int:
        return self.socket.fileno()

    def sendto(self, datagram: bytes | memoryview, address: tuple[str, int], /) -> int:
        return self.socket.sendto(datagram, address)

    def run_next_turn(self, callback: object) -> None:
        raise AssertionError("a few packets need one turn")

    def run_when_writable(self, callback: object) -> None:
        raise AssertionError("a few packets fit the buffer")


@dataclass
class Viewer:
    """A target with real keys and a real socket of its own."""

    pair: SrtpPair
    receiver: socket.socket
    is_open: bool = True
    packets_out: int = 0

    def __post_init__(self) -> None:
        self.address = self.receiver.getsockname()[:2]
        self.tag_bytes = self.pair.tag_bytes
        self.seal, self.describe_stream = self.pair.seal, self.pair.describe_stream

    def take(self, count: int) -> list[bytes]:
        return [self.receiver.recv(2048) for _ in range(count)]


def make_keys(profile: SrtpProfile) -> SrtpKeys:
    size = profile.key_bytes + profile.salt_bytes
    return SrtpKeys(profile, secrets.token_bytes(size), secrets.token_bytes(size))


def open_receiver(keys: SrtpKeys) -> Session:
    policy = Policy(
        keys.sending, Policy.SSRC_ANY_INBOUND, srtp_profile=keys.profile.libsrtp_profile
    )
    policy.window_size = 1024
    return Session(policy)


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["v4", "v6"])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    wire = Wire(*request.param)
    yield wire
    wire.socket.close()


@pytest.fixture
def receivers(wire: Wire) -> Iterator[list[socket.socket]]:
    host = wire.socket.getsockname()[0]
    opened = [socket.socket(wire.family, socket.SOCK_DGRAM) for _ in range(3)]
    for receiver in opened:
        receiver.bind((host, 0))
        receiver.settimeout(60.0)
    yield opened
    for receiver in opened:
        receiver.close()


def make_batches(first: int) -> list[list[OutPacket]]:
    """Return packets of a viewer who joins at `first`: at once, past two wraps, and repeats."""
    numbers = 3 * (first & 1)
    group = FanoutGroup(
        (("video", StreamFormat(96, 7, decide_shift(first), transport_seq=numbers)),)
    )
    batches = []
    for later in (0, 1000, 0x7000, 0xE000, 0x10000, 0x17000, 0x1E000, 0x1FFF8):
        start = first + later
        packets = [
            TrackPacket(start + n, 0x80, start * 9, secrets.token_bytes(size), is_keyframe=False)
            for n, size in enumerate(SIZES)
        ]
        batches.append(group.build_packets("video", packets))
    return [*batches, batches[-1][2:5]]


def send_all(
    backend: str, wire: Wire, viewers: Sequence[Viewer], batches: Sequence[Sequence[OutPacket]]
) -> list[list[bytes]]:
    egress = choose_egress(wire, wire, ManualClock().monotonic_s, backend)
    assert egress.name == backend
    got: list[list[bytes]] = [[] for _ in viewers]
    for batch in batches:
        egress.send(EgressJob(viewers, batch))
        for viewer, datagrams in zip(viewers, got, strict=True):
            datagrams += viewer.take(len(batch))
    assert egress.packets_dropped == 0
    return got


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name.decode())
@pytest.mark.parametrize("first", [0, 0x3FFF, 0xFFFE, (7 << 16) + 0xBFFF], ids=hex)
def test_backends_agree_to_the_byte_and_a_receiver_reads_all_of_it(
    wire: Wire, receivers: list[socket.socket], profile: SrtpProfile, first: int
) -> None:
    keys = [make_keys(profile) for _ in receivers]
    batches = make_batches(first)
    by_backend = {}
    for backend in BACKENDS:
        if not is_working(backend):
            continue
        viewers = [Viewer(SrtpPair(k), r) for k, r in zip(keys, receivers, strict=True)]
        by_backend[backend] = send_all(backend, wire, viewers, batches)
    reference = by_backend["sendto"]
    assert all(got == reference for got in by_backend.values())
    for key, datagrams in zip(keys, reference, strict=True):
        session = open_receiver(key)
        fresh = [packet for batch in batches[:-1] for packet in batch]
        for packet, datagram in zip(fresh, datagrams, strict=False):
            assert session.unprotect(datagram) == packet.plaintext
        repeats = datagrams[len(fresh) :]
        assert repeats == datagrams[len(fresh) - len(SIZES) + 2 : len(fresh) - len(SIZES) + 5]
        with pytest.raises(pylibsrtp.Error, match="replay"):
            session.unprotect(repeats[0])


def test_what_is_chosen_by_itself_works_here() -> None:
    wire = Wire(socket.AF_INET, "127.0.0.1")
    egress = choose_egress(wire, wire, ManualClock().monotonic_s)
    assert is_working(egress.name)
    wire.socket.close()
