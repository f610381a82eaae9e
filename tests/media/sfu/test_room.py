"""A room forwards, repeats and restarts exactly what each viewer may have."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from aiortc.rtp import RtcpPsfbPacket, RtcpRtpfbPacket

from media.sfu.codecs import choose_publish, choose_watch
from media.sfu.dtls import DtlsIdentity, DtlsSrtpPeer
from media.sfu.egress import EgressJob
from media.sfu.ice import IceAgent
from media.sfu.options import PacketFact, SfuOptions
from media.sfu.room import SfuRoom
from media.sfu.rtcp import RtcpIn, SenderReport, build_sender_report, parse_rtcp
from media.sfu.rtp import RtpFields, parse_rtp
from media.sfu.sdp import parse_offer
from media.sfu.session import REPEATS_BURST, PublisherSession, SessionParts, ViewerSession
from media.sfu.srtp import PROFILES, SrtpKeys, SrtpPair
from media.sfu.stun import Address
from tests.media.sfu import packets as p
from tests.media.sfu.peer import Credentials, make_offer

pytestmark = pytest.mark.unit

IDENTITY = DtlsIdentity(datetime(2026, 1, 1, tzinfo=UTC))
FINGERPRINT = ":".join(["AA"] * 32)


@dataclass
class RecordingEgress:
    """Sends nothing; remembers who would have got what."""

    jobs: list[EgressJob] = field(default_factory=list)
    stalls: int = 0
    packets_dropped: int = 0
    queued_packets: int = 0

    def send(self, job: EgressJob) -> None:
        if job.targets and job.plaintexts:
            self.jobs.append(job)

    def list_sent(self, viewer: ViewerSession) -> list[bytes]:
        """Return every plaintext for a viewer, in order."""
        return [text for job in self.jobs if viewer in job.targets for text in job.plaintexts]


@dataclass
class Feedback:
    """What a publisher was sent: opened packets, since the test has both halves of its keys."""

    receiving: SrtpPair
    facts: list[RtcpIn] = field(default_factory=list)

    def transmit(self, datagram: bytes, _address: Address) -> None:
        packet = self.receiving.unprotect_rtcp(datagram)
        assert packet is not None
        found = parse_rtcp(packet)
        assert found is not None
        self.facts.append(found)

    @property
    def keyframes_wanted(self) -> int:
        return sum(len(fact.keyframe_ssrcs) for fact in self.facts)


def make_keys() -> tuple[SrtpKeys, SrtpKeys]:
    """Return keys for both ends of one connection."""
    profile = PROFILES[0]
    one, two = (secrets.token_bytes(profile.key_bytes + profile.salt_bytes) for _ in range(2))
    return SrtpKeys(profile, one, two), SrtpKeys(profile, two, one)


def make_parts(feedback: Feedback) -> SessionParts:
    agent = IceAgent("unused", "theirs")
    agent.address = ("192.0.2.1", 1)
    dtls = DtlsSrtpPeer(IDENTITY, [])
    return SessionParts(secrets.token_hex(4), "r", agent, dtls, feedback.transmit, 0.0)


class Stage:
    """A room with everything around it replaced by records, and time by hand."""

    def __init__(self) -> None:
        self.facts: list[PacketFact] = []
        self.egress = RecordingEgress()
        options = SfuOptions(packet_observer=self.facts.append)
        self.room = SfuRoom("r", options, self.egress, 0.0)
        self.now_s = 1.0
        self.seq = 100
        self.reports: dict[str, Feedback] = {}

    def add_publisher(self, codec: str = "VP8") -> tuple[PublisherSession, Feedback]:
        ours, theirs = make_keys()
        feedback = Feedback(SrtpPair(theirs))
        offer = make_offer(Credentials(), FINGERPRINT, "sendonly", (codec, "opus"))
        session = PublisherSession(make_parts(feedback), choose_publish(parse_offer(offer)))
        session.srtp = SrtpPair(ours)
        self.room.promote_publisher(session, self.now_s)
        return session, feedback

    def add_viewer(self, codecs: tuple[str, ...] = ("VP8", "opus")) -> ViewerSession:
        ours, theirs = make_keys()
        offer = make_offer(Credentials(), FINGERPRINT, "recvonly", codecs)
        chosen = choose_watch(parse_offer(offer), self.room.get_codecs())
        reports = Feedback(SrtpPair(theirs))
        session = ViewerSession(make_parts(reports), chosen)
        self.reports[session.session_id] = reports
        session.srtp = SrtpPair(ours)
        self.room.viewers[session.session_id] = session
        self.room.connect_viewer(session, self.now_s)
        return session

    def video(self, session: PublisherSession, *payloads: bytes, ssrc: int = 7) -> None:
        """Deliver one frame per payload, as one batch."""
        (number,) = [pt for pt, kind in session.kinds.items() if kind == "video"]
        for payload in payloads:
            self.seq += 1
            packet = p.make_rtp(
                self.seq, self.seq * 3000, payload, ssrc=ssrc, marker_and_type=0x80 | number
            )
            self.room.apply_rtp(session, packet, self.now_s)
        self.room.flush(self.now_s)

    def sound(self, session: PublisherSession, count: int = 1) -> None:
        for _ in range(count):
            self.seq += 1
            packet = p.make_rtp(self.seq, self.seq, b"opus", ssrc=8, marker_and_type=111)
            self.room.apply_rtp(session, packet, self.now_s)
            self.room.flush(self.now_s)

    def list_video(self, viewer: ViewerSession) -> list[RtpFields]:
        """Return the video a viewer was sent."""
        parsed = [parse_rtp(text) for text in self.egress.list_sent(viewer)]
        wanted = self.room.tracks["video"].ssrc
        return [fields for fields in parsed if fields is not None and fields.ssrc == wanted]

    def nack(self, viewer: ViewerSession, seqs: Sequence[int], ssrc: int | None = None) -> None:
        target = self.room.tracks["video"].ssrc if ssrc is None else ssrc
        packet = RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=target, lost=list(seqs))
        self.room.apply_rtcp(viewer, bytes(packet), self.now_s)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def get_payloads(fields: Sequence[RtpFields]) -> list[bytes]:
    return [f.payload for f in fields]


def get_steps(fields: Sequence[RtpFields]) -> set[int]:
    """Return the distances between neighbouring sequence numbers."""
    return {(b.seq - a.seq) & 0xFFFF for a, b in itertools.pairwise(fields)}


def test_every_viewer_gets_every_packet_once_in_order(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewers = [stage.add_viewer() for _ in range(3)]
    stage.video(publisher, b"\x10\x01a", b"\x10\x01b")
    stage.video(publisher, b"\x10\x01c")
    for viewer in viewers:
        found = stage.list_video(viewer)
        assert get_payloads(found) == [p.VP8_KEY, b"\x10\x01a", b"\x10\x01b", b"\x10\x01c"]
        assert get_steps(found) == {1}
        assert {f.payload_type for f in found} == {96}


def test_viewers_with_the_same_numbers_share_their_plaintexts(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewers = [stage.add_viewer() for _ in range(3)]
    stage.egress.jobs.clear()
    stage.video(publisher, p.VP8_DELTA)
    (job,) = stage.egress.jobs
    assert set(job.targets) == set(viewers)


def test_a_late_joiner_starts_with_the_last_keyframe(stage: Stage) -> None:
    publisher, feedback = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY, b"\x10\x01a", p.VP8_KEY, b"\x10\x01b")
    wanted_before = feedback.keyframes_wanted
    viewer = stage.add_viewer()
    stage.video(publisher, b"\x10\x01c")
    found = stage.list_video(viewer)
    assert get_payloads(found) == [p.VP8_KEY, b"\x10\x01b", b"\x10\x01c"]
    assert get_steps(found) == {1}
    assert feedback.keyframes_wanted == wanted_before


def test_a_joiner_whose_keyframe_is_long_past_asks_for_one_and_waits(stage: Stage) -> None:
    publisher, feedback = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    for _ in range(30):
        stage.video(publisher, *[p.VP8_DELTA] * 10)
    stage.now_s += 5
    wanted_before = feedback.keyframes_wanted
    viewer = stage.add_viewer()
    stage.video(publisher, p.VP8_DELTA)
    assert feedback.keyframes_wanted == wanted_before + 1
    assert stage.list_video(viewer) == []
    stage.video(publisher, p.VP8_DELTA, p.VP8_KEY, b"\x10\x01z")
    stage.video(publisher, b"\x10\x01y")
    assert get_payloads(stage.list_video(viewer)) == [p.VP8_KEY, b"\x10\x01z", b"\x10\x01y"]


def test_a_viewer_who_joins_amid_a_batch_gets_nothing_twice(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    number = next(pt for pt, kind in publisher.kinds.items() if kind == "video")
    packet = p.make_rtp(stage.seq + 1, 0, b"\x10\x01a", marker_and_type=number)
    stage.room.apply_rtp(publisher, packet, stage.now_s)
    stage.seq += 1
    viewer = stage.add_viewer()
    stage.video(publisher, b"\x10\x01b")
    found = stage.list_video(viewer)
    assert get_payloads(found) == [p.VP8_KEY, b"\x10\x01a", b"\x10\x01b"]


def test_sound_flows_at_once_and_only_to_those_who_asked(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    both, mute = stage.add_viewer(), stage.add_viewer(("VP8",))
    stage.sound(publisher, 3)
    assert len(stage.egress.list_sent(both)) == 3
    assert stage.egress.list_sent(mute) == []


def test_a_lost_packet_is_repeated_byte_for_byte(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer, other = stage.add_viewer(), stage.add_viewer()
    stage.video(publisher, b"\x10\x01a", b"\x10\x01b")
    sent = stage.egress.list_sent(viewer)
    stage.egress.jobs.clear()
    stage.nack(viewer, [f.seq for f in map(parse_rtp, sent[-2:]) if f])
    assert stage.egress.list_sent(viewer) == sent[-2:]
    assert stage.egress.list_sent(other) == []
    assert not stage.egress.jobs[0].is_video


def test_packets_from_before_a_viewers_start_are_never_sent_to_it(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY, b"\x10\x01a", p.VP8_KEY)
    viewer = stage.add_viewer()
    first = stage.list_video(viewer)[0].seq
    stage.egress.jobs.clear()
    stage.nack(viewer, range(first - 200, first))
    assert stage.egress.jobs == []
    assert stage.room.get_stats().retransmits == 0


def test_a_viewer_cannot_make_us_flood_with_nacks(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    stage.video(publisher, *[p.VP8_DELTA] * 200)
    seqs = [f.seq for f in stage.list_video(viewer)]
    stage.egress.jobs.clear()
    for _ in range(20):
        stage.now_s += 0.03
        stage.nack(viewer, seqs)
    repeats = len(stage.egress.list_sent(viewer))
    assert repeats <= REPEATS_BURST + 20 * 0.03 * 150 + 1
    stats = stage.room.get_stats()
    assert stats.retransmits == repeats
    assert stats.retransmits_refused > 0


def test_an_impatient_repeat_of_a_nack_is_ignored(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    seq = stage.list_video(viewer)[-1].seq
    stage.egress.jobs.clear()
    for _ in range(5):
        stage.nack(viewer, [seq])
    assert len(stage.egress.list_sent(viewer)) == 1


def test_a_nack_for_anything_else_is_ignored(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer(("VP8",))
    stage.egress.jobs.clear()
    stage.nack(viewer, [1, 2, 3], ssrc=12345)
    stage.nack(viewer, [1, 2, 3], ssrc=stage.room.tracks["audio"].ssrc)
    assert stage.egress.jobs == []


def test_a_returning_publisher_continues_for_viewers_with_a_keyframe(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    stage.video(publisher, b"\x10\x01a")
    stage.room.remove_publisher(publisher, stage.now_s)
    assert stage.room.get_stats().publisher_state == "lost"
    stage.now_s += 4.0
    again, feedback = stage.add_publisher()
    stage.seq = 40_000
    stage.video(again, b"\x10\x01late", ssrc=70)
    assert feedback.keyframes_wanted == 1
    stage.video(again, p.VP8_KEY, b"\x10\x01b", ssrc=70)
    found = stage.list_video(viewer)
    assert get_payloads(found) == [p.VP8_KEY, b"\x10\x01a", p.VP8_KEY, b"\x10\x01b"]
    assert get_steps(found) == {1}
    assert found[2].timestamp - found[1].timestamp == 4 * 90_000


def test_a_publisher_with_another_codec_names_the_viewers_who_must_leave(stage: Stage) -> None:
    publisher, _ = stage.add_publisher("VP8")
    stage.video(publisher, p.VP8_KEY)
    viewer, listener = stage.add_viewer(), stage.add_viewer(("opus",))
    offer = make_offer(Credentials(), FINGERPRINT, "sendonly", ("H264",))
    chosen = choose_publish(parse_offer(offer), stage.room.list_preferred_codecs())
    session = PublisherSession(publisher_parts(), chosen)
    assert stage.room.promote_publisher(session, stage.now_s) == [viewer]
    assert listener.session_id in stage.room.viewers


def publisher_parts() -> SessionParts:
    return make_parts(Feedback(SrtpPair(make_keys()[0])))


def test_viewers_codec_is_asked_for_first(stage: Stage) -> None:
    stage.add_publisher("VP8")
    stage.add_viewer()
    assert stage.room.list_preferred_codecs()[0] == "VP8"


def test_dropped_video_resumes_at_the_next_keyframe(stage: Stage) -> None:
    publisher, feedback = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    behind, fine = stage.add_viewer(), stage.add_viewer()
    stage.video(publisher, b"\x10\x01a")
    stage.egress.jobs[-1].on_dropped([behind])
    stage.egress.jobs.clear()
    stage.now_s += 2.0
    wanted_before = feedback.keyframes_wanted
    stage.video(publisher, b"\x10\x01b")
    assert feedback.keyframes_wanted == wanted_before + 1
    assert stage.list_video(behind) == []
    assert get_payloads(stage.list_video(fine)) == [b"\x10\x01b"]
    stage.video(publisher, p.VP8_KEY)
    stage.video(publisher, b"\x10\x01c")
    assert get_payloads(stage.list_video(behind)) == [p.VP8_KEY, b"\x10\x01c"]
    assert get_payloads(stage.list_video(fine))[1:] == [p.VP8_KEY, b"\x10\x01c"]


def test_a_viewers_pli_reaches_the_publisher(stage: Stage) -> None:
    publisher, feedback = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    stage.now_s += 2.0
    before = feedback.keyframes_wanted
    pli = RtcpPsfbPacket(fmt=1, ssrc=1, media_ssrc=stage.room.tracks["video"].ssrc)
    for _ in range(10):
        stage.room.apply_rtcp(viewer, bytes(pli), stage.now_s)
        stage.room.send_feedback(stage.now_s)
    assert feedback.keyframes_wanted == before + 1
    assert stage.room.get_stats().plis_in == 10


def test_the_publishers_clock_is_passed_on_in_our_timestamps(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    stage.room.remove_publisher(publisher, stage.now_s)
    stage.now_s += 1.0
    again, _ = stage.add_publisher()
    stage.video(again, p.VP8_KEY, ssrc=70)
    theirs = stage.seq * 3000
    report = SenderReport(70, 0x1234_5678_0000_0000, theirs + 900)
    stage.room.apply_rtcp(again, build_sender_report(report, (1, 1), "x"), stage.now_s)
    sent = stage.list_video(viewer)[-1].timestamp
    (facts,) = stage.reports[viewer.session_id].facts
    (mapped,) = facts.sender_reports
    assert mapped.rtp_timestamp == (sent + 900) & 0xFFFFFFFF
    assert mapped.ntp_timestamp == report.ntp_timestamp
    assert mapped.ssrc == stage.room.tracks["video"].ssrc


def test_packets_of_other_payload_types_or_beyond_size_go_nowhere(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    for packet in (
        p.make_rtp(1, 1, b"x", marker_and_type=50),
        p.make_rtp(1, 1, p.VP8_KEY + bytes(1400), marker_and_type=96),
        b"\x80",
    ):
        stage.room.apply_rtp(publisher, packet, stage.now_s)
    stage.room.flush(stage.now_s)
    stats = stage.room.get_stats()
    assert (stats.packets_in, stats.packets_dropped) == (0, 3)


def test_what_comes_in_goes_out_unchanged(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY, p.VP8_DELTA)
    stage.sound(publisher)
    came = [(f.kind, f.payload_sha256) for f in stage.facts if f.direction == "in"]
    went = [(f.kind, f.payload_sha256) for f in stage.facts if f.direction == "out"]
    assert came == went
    assert [kind for kind, _ in came] == ["video", "video", "audio"]


def test_a_viewer_who_left_gets_nothing_more(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    stage.room.remove_viewer(viewer)
    stage.egress.jobs.clear()
    stage.video(publisher, p.VP8_KEY)
    assert stage.egress.jobs == []
    assert stage.room.get_stats().viewers_connected == 0


def test_rates_are_measured_over_a_second(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.room.measure_rates(2.0)
    stage.video(publisher, p.VP8_KEY + bytes(988 - len(p.VP8_KEY)))
    stage.room.measure_rates(2.5)
    assert stage.room.get_stats().bitrate_in_bps == 0
    stage.room.measure_rates(3.0)
    assert stage.room.get_stats().bitrate_in_bps == 8000
