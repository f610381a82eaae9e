"""Viewers who join late decrypt through every wrap, and repeats are the same bytes."""

from __future__ import annotations

import secrets

import pylibsrtp
import pytest
from pylibsrtp import Policy, Session

from media.sfu.fanout import (
    NUMBERED_PAYLOAD_BYTES_MAX,
    SAFE_SEQ_END,
    SAFE_SEQ_FIRST,
    FanoutGroup,
    StreamFormat,
    build_packets,
    decide_shift,
    make_group_key,
)
from media.sfu.rtp import find_extension, parse_rtp
from media.sfu.srtp import PLAINTEXT_BYTES_MAX, PROFILES, SrtpKeys, SrtpPair, SrtpProfile
from media.sfu.track import SourceTrack, TrackPacket
from tests.media.sfu.packets import seal

pytestmark = pytest.mark.unit

JOINS = [0, 1, 5, 0x3FFF, 0x4000, 0x7FFF, 0x8000, 0xBFFF, 0xC000, 0xFFF0, 0xFFFE, 0xFFFF]
ids = {"ids": lambda value: value.name.decode() if isinstance(value, SrtpProfile) else hex(value)}


def make_packet(index: int) -> TrackPacket:
    return TrackPacket(index, 0, index * 10, b"payload %d" % index, is_keyframe=False)


def make_pair(profile: SrtpProfile) -> tuple[SrtpPair, Session]:
    """Return our contexts and a fresh receiver for what we send."""
    size = profile.key_bytes + profile.salt_bytes
    keys = SrtpKeys(profile, secrets.token_bytes(size), secrets.token_bytes(size))
    policy = Policy(keys.sending, Policy.SSRC_ANY_INBOUND, srtp_profile=profile.libsrtp_profile)
    policy.window_size = 1024
    return SrtpPair(keys), Session(policy)


def make_group(next_index: int) -> FanoutGroup:
    return FanoutGroup((("video", StreamFormat(96, 7, decide_shift(next_index))),))


def send_all(group: FanoutGroup, profile: SrtpProfile, first: int, lost: int) -> int:
    """Send well past the next wrap, losing the first `lost`; return how many were decrypted."""
    ours, theirs = make_pair(profile)
    decrypted = 0
    for index in (*range(first, first + 1000), *range(first + 1000, first + 0x11000, 97)):
        (packet,) = group.build_packets("video", [make_packet(index)])
        datagram = seal(ours, packet)
        if index < first + lost:
            continue
        try:
            decrypted += theirs.unprotect(datagram) == packet.plaintext
        except pylibsrtp.Error:
            continue
    return decrypted


@pytest.mark.parametrize("lost", [0, 3, 500])
@pytest.mark.parametrize("join", JOINS, **ids)
@pytest.mark.parametrize("profile", PROFILES, **ids)
def test_a_late_joiner_decrypts_everything_past_the_next_wrap(
    profile: SrtpProfile, join: int, lost: int
) -> None:
    first = (3 << 16) + join
    wanted = 1000 - lost + len(range(first + 1000, first + 0x11000, 97))
    assert send_all(make_group(first), profile, first, lost) == wanted


def test_without_the_shift_a_joiner_at_the_wrap_could_stay_locked_out() -> None:
    unshifted = FanoutGroup((("video", StreamFormat(96, 7, 0)),))
    first = (3 << 16) + 0xFFFE
    assert send_all(unshifted, PROFILES[0], first, lost=3) == 0


@pytest.mark.parametrize("join", JOINS, **ids)
def test_a_new_viewer_starts_far_from_both_ends_of_the_sequence_space(join: int) -> None:
    seq = (join + decide_shift(join)) & 0xFFFF
    assert SAFE_SEQ_FIRST <= seq < SAFE_SEQ_END


@pytest.mark.parametrize("profile", PROFILES, **ids)
def test_a_repeat_is_byte_identical_even_from_before_a_wrap(profile: SrtpProfile) -> None:
    """With AES-GCM other bytes under the same nonce would give the key stream away."""
    first = 0x5000
    group = make_group(first)
    ours, theirs = make_pair(profile)
    sent: dict[int, bytes] = {}
    for index in (*range(first, 0x10000 + 200, 50), 0x10000 + 200):
        (packet,) = group.build_packets("video", [make_packet(index)])
        sent[index] = seal(ours, packet)
        if index % 100:
            theirs.unprotect(sent[index])
    recent = [index for index in sent if index > 0x10000 - 600]
    for index in recent:
        (packet,) = group.build_packets("video", [make_packet(index)])
        repeat = seal(ours, packet)
        assert repeat == sent[index]
        if not index % 100:
            assert theirs.unprotect(repeat) == packet.plaintext
        else:
            with pytest.raises(pylibsrtp.Error, match="replay"):
                theirs.unprotect(repeat)


@pytest.mark.parametrize("profile", PROFILES, **ids)
def test_a_packet_with_a_transport_wide_number_is_read_and_repeated_likewise(
    profile: SrtpProfile,
) -> None:
    fmt = StreamFormat(96, 7, 5, transport_seq=3)
    group = FanoutGroup((("video", fmt),))
    ours, theirs = make_pair(profile)
    (packet,) = group.build_packets("video", [make_packet(0x7001)])
    sealed = seal(ours, packet)
    plain = theirs.unprotect(sealed)
    assert find_extension(plain, 3) == plain[2:4] == b"\x70\x06"
    fields = parse_rtp(plain)
    assert fields is not None
    assert (fields.seq, fields.payload) == (0x7006, b"payload %d" % 0x7001)
    assert seal(ours, *group.build_packets("video", [make_packet(0x7001)])) == sealed


def test_a_packet_that_has_no_room_for_its_number_goes_without() -> None:
    fmt = StreamFormat(96, 7, 0, transport_seq=3)
    for room, first in ((0, 0x90), (1, 0x80), (8, 0x80)):
        payload = bytes(NUMBERED_PAYLOAD_BYTES_MAX + room)
        packet = TrackPacket(0x7000, 0, 0, payload, is_keyframe=False)
        (built,) = build_packets(fmt, [packet])
        assert built.header[0] == first
        assert built.size_bytes <= PLAINTEXT_BYTES_MAX


def test_viewers_of_one_payload_type_share_a_group_until_the_shift_changes() -> None:
    tracks = {"video": SourceTrack("video", ssrc=7, first_index=0x8000)}
    early = make_group_key({"video": 96}, tracks)
    assert make_group_key({"video": 96}, tracks) == early
    assert make_group_key({"video": 102}, tracks) != early
    assert make_group_key({"video": 96}, tracks, 3) != early
    tracks["video"].next_index = 0xC000
    assert make_group_key({"video": 96}, tracks) != early


def test_a_members_number_leads_back_to_the_tracks_index() -> None:
    track = SourceTrack("video", ssrc=7, first_index=0x1_0005)
    group = make_group(track.next_index)
    for index in (0x1_0004, 0x1_0000, 0xFFFF, 0xFC05):
        seq = (index + group.formats["video"].shift) & 0xFFFF
        assert group.get_index(track, seq) == index
