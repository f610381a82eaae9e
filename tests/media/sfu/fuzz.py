"""Mutated datagrams and offers for every parser that strangers reach: the same for the same seed.

`feed` of a target raises for nothing but a fault of ours: a refusal is what most inputs deserve.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aioice import stun
from aiortc.rtp import RtcpPsfbPacket, RtcpRtpfbPacket

from kit.errors import AppError
from media.sfu.answer import LocalTransport, build_answer
from media.sfu.arrival_reports import parse_arrival_fci
from media.sfu.arrivals import build_arrival_fci
from media.sfu.codecs import choose_publish
from media.sfu.dtls import DtlsIdentity, DtlsSrtpPeer, Fingerprint
from media.sfu.ice import IceLite
from media.sfu.path_proof import begin_proof
from media.sfu.rtcp import (
    SenderReport,
    build_arrival_feedback,
    build_nack,
    build_sender_report,
    parse_rtcp,
)
from media.sfu.rtp import find_extension, parse_rtp
from media.sfu.rtx import unwrap
from media.sfu.sdp import parse_offer
from media.sfu.track import SourceTrack
from media.sfu.trickle import parse_fragment
from tests.media.sfu import packets as p
from tests.media.sfu.peer import DtlsClient

ARRIVALS = build_arrival_fci(65_500, 1, [5, None, 7, 900, *range(999, 1100)])
OFFERS = Path(__file__).parent / "offers"
INPUT_BYTES_MAX = 8192
HOME, AWAY = ("192.0.2.1", 4000), ("192.0.2.2", 4000)
THEIR_PASSWORD = "p" * 22
TRANSPORT = LocalTransport("ours1234", "q" * 32, Fingerprint("sha-256", "AA"), ("::1",), 8002)
EXTREMES = (0x00, 0x01, 0x7F, 0x80, 0xFF)


@dataclass(frozen=True)
class Target:
    """One parser and the valid inputs its mutations start from."""

    seeds: tuple[bytes, ...]
    feed: Callable[[bytes], None]


def mutate(chance: random.Random, seeds: tuple[bytes, ...]) -> bytes:
    """Return a seed with a few things wrong."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(data) + 1)
        size = chance.choice((1, 1, 2, 4, 16, 64))
        match chance.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(data):
                data[at] = chance.choice(EXTREMES)
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = chance.randbytes(size)
            case 4:
                data[at:at] = data[at : at + size * 4]
            case 5:
                del data[at:]
            case _:
                other = chance.choice(seeds)
                data[at:] = other[chance.randrange(len(other)) :]
    return bytes(data[:INPUT_BYTES_MAX])


def make_targets() -> dict[str, Target]:
    """Return every parser under its name."""
    return {
        "stun": _make_stun(),
        "dtls": _make_dtls(),
        "rtp": _make_rtp(),
        "rtcp": _make_rtcp(),
        "sdp": _make_sdp(),
    }


def run_target(target: Target, seed: int, inputs: int) -> None:
    """Feed a parser; whatever it raises is a fault, and the input is in the error's notes."""
    chance = random.Random(seed)
    for number in range(inputs):
        data = mutate(chance, target.seeds)
        try:
            target.feed(data)
        except Exception as error:
            error.add_note(f"input {number} of seed {seed}: {data.hex()}")
            raise


def _make_stun() -> Target:
    ice = IceLite()
    agent = ice.add_agent("session", "theirs", THEIR_PASSWORD)
    seeds = []
    for nominates in (False, True):
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{agent.credentials.local_ufrag}:theirs"
        message.attributes["PRIORITY"] = 1
        message.attributes["ICE-CONTROLLING"] = 1
        if nominates:
            message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(agent.credentials.local_password.encode())
        seeds.append(bytes(message))
        message.add_fingerprint()
        seeds.append(bytes(message))
    ice.take(seeds[0], HOME, 0.0)
    agent.is_bound = True
    never_asked = begin_proof(agent.describe_asking(), AWAY, 0.0).request
    for request in (never_asked, *ice.renew(agent, 0.0)):
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request[8:20])
        response.attributes["XOR-MAPPED-ADDRESS"] = HOME
        response.add_message_integrity(THEIR_PASSWORD.encode())
        seeds.append(bytes(response))
    times = itertools.count(1.0, 0.01)

    def feed(data: bytes) -> None:
        outcome = ice.take(data, AWAY, next(times))
        if outcome is not None:
            assert len(outcome.replies) <= 2, "an answer, and a question"
            assert all(len(reply) <= len(data) for reply in outcome.replies), "neither amplifies"
        assert agent.address == HOME, "nobody answered what was asked"
        assert agent.proven_at_s < 0, "nor from where it was asked"

    return Target(tuple(seeds), feed)


def _make_dtls() -> Target:
    identity = DtlsIdentity(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    client = DtlsClient()
    hello = client.start()
    peer = DtlsSrtpPeer(identity, [])
    seeds = [*hello]
    for _ in range(3):
        answers = [answer for datagram in hello for answer in peer.receive(datagram)]
        hello = [reply for answer in answers for reply in client.receive(answer)]
        seeds += hello

    def feed(data: bytes) -> None:
        fresh = DtlsSrtpPeer(identity, [Fingerprint("sha-256", client.fingerprint)])
        fresh.receive(data)
        fresh.receive(seeds[0])
        fresh.close()

    return Target(tuple(seeds), feed)


def _make_rtp() -> Target:
    payloads = (
        *(p.VP8_KEY, p.VP8_DELTA, b"\x90\xf0\x85\x05\x01\x20\x00key"),
        *(p.H264_STAP_KEY, p.H264_IDR_FIRST, p.H264_DELTA),
    )
    plain = [p.make_rtp(number, 9, payload) for number, payload in enumerate(payloads)]
    extended = [
        b"\x90" + packet[1:12] + extension + packet[12:]
        for packet in plain
        for extension in (
            b"\xbe\xde\x00\x01\x41\x00\x07\x00",
            b"\x10\x00\x00\x02\x04\x02\x00\x07\x05\x01\x00\x00",
        )
    ]
    padded = [b"\xa0" + packet[1:] + b"\0\0\x03" for packet in plain]
    tracks = []
    for codec in ("H264", "VP8", "H265", "VP9", "AV1"):
        track = SourceTrack("video", ssrc=9, first_index=0x8000)
        track.begin_source(codec)
        tracks.append(track)

    def feed(data: bytes) -> None:
        fields = parse_rtp(data)
        if fields is None:
            return
        find_extension(data, 4)
        repeated = unwrap(fields, 96, 7)
        for track in tracks:
            track.apply(fields, 1.0)
            if repeated is not None and track.lacks(repeated.seq):
                track.apply(repeated, 1.0)
            track.missing.take_due(1.0)
            track.list_keyframe_run()

    return Target((*plain, *extended, *padded), feed)


def _make_rtcp() -> Target:
    report = SenderReport(7, 1 << 40, 9)
    seeds = (
        build_nack(7, [1, 2, 3, 40, 65535]),
        build_sender_report(report, (1, 2), "name"),
        build_sender_report(report, (1, 2), "name") + build_nack(7, [1]),
        bytes(RtcpPsfbPacket(fmt=4, ssrc=1, media_ssrc=0, fci=b"\0\0\0\x63\x05\0\0\0")),
        bytes(RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=7, lost=list(range(100)))),
        build_arrival_feedback(ARRIVALS, 7),
    )

    def feed(data: bytes) -> None:
        facts = parse_rtcp(data)
        for fci in (data, *(facts.arrivals if facts is not None else ())):
            parse_arrival_fci(fci)

    return Target(seeds, feed)


def _make_sdp() -> Target:
    offers = tuple(path.read_bytes() for path in sorted(OFFERS.glob("*.sdp")))
    fragment = b"a=ice-ufrag:abcd\r\na=ice-pwd:" + b"p" * 22 + b"\r\na=end-of-candidates\r\n"

    def feed(data: bytes) -> None:
        with contextlib.suppress(UnicodeDecodeError, AppError):
            text = data.decode()
            with contextlib.suppress(AppError):
                parse_fragment(text)
            offer = parse_offer(text)
            answer = build_answer(offer, choose_publish(offer), TRANSPORT, None)
            assert all(len(line) < 1024 for line in answer.splitlines()), "an answer stays small"

    return Target((*offers, fragment), feed)
