"""Offers of real clients are understood; broken and hostile ones are refused, never crash."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from media.sfu.answer import LocalTransport, OutgoingStream, build_answer
from media.sfu.codecs import choose_publish, choose_watch
from media.sfu.dtls import Fingerprint
from media.sfu.errors import NoSupportedCodec, OfferMalformed
from media.sfu.sdp import (
    OFFER_CHARS_MAX,
    STREAM_ID,
    TRANSPORT_SEQ,
    Offer,
    OfferedCodec,
    parse_offer,
)

pytestmark = pytest.mark.unit

OFFERS = Path(__file__).parent / "offers"
PUBLISHERS = ["chromium_publish", "firefox_publish", "obs_publish"]
WATCHERS = ["chromium_watch", "firefox_watch", "safari_watch"]
TRANSPORT = LocalTransport(
    ice_ufrag="ours1234",
    ice_password="p" * 32,
    fingerprint=Fingerprint("sha-256", ":".join(["AB"] * 32)),
    candidate_ips=("192.0.2.10", "2001:db8::10"),
    port=8002,
)
STREAM = OutgoingStream("cafe", {"audio": 1111, "video": 2222})


def read_offer(name: str) -> str:
    return (OFFERS / f"{name}.sdp").read_bytes().decode()


def video(name: str, profile: str = "42e01f") -> OfferedCodec:
    parameters = (("profile-level-id", profile), ("packetization-mode", "1"))
    return OfferedCodec(
        96, name, 90000, None, parameters if name == "H264" else (), frozenset({"nack"})
    )


OPUS = OfferedCodec(111, "opus", 48000, 2, (), frozenset())


def answer_publish(sdp: str) -> SessionDescription:
    offer = parse_offer(sdp)
    return SessionDescription.parse(build_answer(offer, choose_publish(offer), TRANSPORT, None))


def answer_watch(sdp: str, name: str = "H264") -> SessionDescription:
    offer = parse_offer(sdp)
    chosen = choose_watch(offer, {"video": video(name), "audio": OPUS})
    return SessionDescription.parse(build_answer(offer, chosen, TRANSPORT, STREAM))


@pytest.mark.parametrize("name", PUBLISHERS)
def test_a_publisher_is_asked_for_h264_in_mode_1_and_opus(name: str) -> None:
    answer = answer_publish(read_offer(name))
    found = {}
    for section in answer.media:
        codec, *repeating = section.rtp.codecs
        found[section.kind] = codec
        assert [one.name for one in repeating] in ([], ["rtx"])
        assert section.direction == "recvonly"
        assert section.dtls is not None
        assert section.dtls.role == "server"
        assert section.rtcp_mux
    assert found["video"].name == "H264"
    assert found["video"].parameters["packetization-mode"] == "1"
    assert str(found["video"].parameters["profile-level-id"]).startswith("42e0")
    assert found["audio"].name == "opus"


@pytest.mark.parametrize("name", WATCHERS)
@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_a_viewer_gets_exactly_the_codec_of_the_room(name: str, codec: str) -> None:
    answer = answer_watch(read_offer(name), codec)
    sections = {section.kind: section for section in answer.media}
    assert [c.name for c in sections["video"].rtp.codecs] == [codec]
    assert sections["video"].direction == "sendonly"
    assert [s.ssrc for s in sections["video"].ssrc] == [2222]
    assert [s.ssrc for s in sections["audio"].ssrc] == [1111]


def test_an_answer_offers_every_candidate_address_and_ends_the_list() -> None:
    section = answer_publish(read_offer("obs_publish")).media[0]
    assert [(c.ip, c.port, c.type) for c in section.ice_candidates] == [
        ("192.0.2.10", 8002, "host"),
        ("2001:db8::10", 8002, "host"),
    ]
    assert section.ice_candidates[0].priority > section.ice_candidates[1].priority
    assert section.ice_candidates_complete


def test_the_answer_keeps_the_order_of_sections_and_rejects_data_channels() -> None:
    answer = answer_publish(read_offer("max_bundle_publish"))
    assert [(m.kind, m.port) for m in answer.media] == [
        ("video", 9),
        ("audio", 9),
        ("application", 0),
    ]
    (bundle,) = [group for group in answer.group if group.semantic == "BUNDLE"]
    assert bundle.items == ["v0", "a0"]


def test_only_feedback_that_was_offered_is_answered() -> None:
    answer = build_publish_answer("obs_publish")
    assert "a=rtcp-fb:96 nack pli" in answer
    assert "a=rtcp-fb:96 goog-remb" in answer
    assert "ccm fir" not in answer
    assert "rtcp-rsize" not in answer


def build_publish_answer(name: str) -> str:
    offer = parse_offer(read_offer(name))
    return build_answer(offer, choose_publish(offer), TRANSPORT, None)


@pytest.mark.parametrize(("name", "times"), [("chromium_publish", 1), ("obs_publish", 0)])
def test_transport_wide_feedback_is_agreed_for_video_where_it_was_offered(
    name: str, times: int
) -> None:
    offer = parse_offer(read_offer(name))
    answer = build_answer(offer, choose_publish(offer), TRANSPORT, None)
    assert answer.count(TRANSPORT_SEQ) == answer.count("transport-cc") == times
    # Of sound it makes Chromium take jitter for a full link, and send a tenth of the picture.
    assert TRANSPORT_SEQ not in next(p for p in answer.split("m=") if p.startswith("audio"))
    assert TRANSPORT_SEQ not in build_answer(offer, choose_publish(offer), TRANSPORT, STREAM)


def test_several_encodings_are_taken_where_their_streams_say_which_they_are() -> None:
    offer = read_offer("chromium_simulcast")
    answer = build_publish_answer("chromium_simulcast")
    assert "a=simulcast:recv q;f\r\n" in answer
    assert "a=rid:q recv\r\na=rid:f recv\r\n" in answer
    assert f"a=extmap:10 {STREAM_ID}\r\n" in answer
    for one_alone in (
        offer.replace("send q;f", "send q"),
        offer.replace(STREAM_ID, "urn:other"),
        offer.replace("a=rid:f send", "a=rid:g send"),
        offer.replace("send q;f", "send q;q"),
        offer.replace("a=simulcast:send", "a=simulcast:recv"),
    ):
        assert parse_offer(one_alone).media[1].rids == ()
    paused = offer.replace("send q;f", "send ~q,f;f")
    assert parse_offer(paused).media[1].rids == ("q", "f")


@pytest.mark.parametrize("name", ["chromium_watch", "firefox_watch"])
def test_a_viewer_who_takes_repeats_in_a_stream_of_their_own_is_told_of_it(name: str) -> None:
    offer = parse_offer(read_offer(name))
    chosen = choose_watch(offer, {"video": video("VP8"), "audio": OPUS})
    stream = OutgoingStream("cafe", {"audio": 1111, "video": 2222}, rtx_ssrc=3333)
    answer = build_answer(offer, chosen, TRANSPORT, stream)
    number = chosen["video"].rtx
    assert f"SAVPF {chosen['video'].codec.payload_type} {number}\r\n" in answer
    assert f"a=fmtp:{number} apt={chosen['video'].codec.payload_type}\r\n" in answer
    assert "a=ssrc-group:FID 2222 3333\r\n" in answer
    read = SessionDescription.parse(answer)
    assert [s.ssrc for m in read.media for s in m.ssrc if m.kind == "video"] == [2222, 3333]


def test_a_viewer_is_measured_by_our_numbers_or_by_its_own_estimate() -> None:
    offer = parse_offer(read_offer("chromium_watch"))
    chosen = choose_watch(offer, {"video": video("VP8"), "audio": OPUS})
    number = chosen["video"].transport_seq
    assert number == 4
    stream = OutgoingStream("cafe", {"audio": 1111, "video": 2222}, transport_seq=number)
    answer = build_answer(offer, chosen, TRANSPORT, stream)
    assert answer.count(f"a=extmap:4 {TRANSPORT_SEQ}\r\n") == 1  # of video alone
    assert answer.count("transport-cc") == 1
    assert "goog-remb" not in answer
    plain = build_answer(offer, chosen, TRANSPORT, STREAM)
    assert "a=rtcp-fb:96 goog-remb" in plain
    assert TRANSPORT_SEQ not in plain


def test_numbers_that_a_short_extension_cannot_have_are_not_agreed() -> None:
    sdp = read_offer("chromium_watch").replace(
        f"extmap:4 {TRANSPORT_SEQ}", f"extmap:15 {TRANSPORT_SEQ}"
    )
    chosen = choose_watch(parse_offer(sdp), {"video": video("VP8"), "audio": OPUS})
    assert chosen["video"].transport_seq == 0


def test_a_publisher_without_h264_is_asked_for_vp8() -> None:
    offer = parse_offer(read_offer("max_bundle_publish"))
    assert choose_publish(offer)["video"].codec.name == "VP8"


@pytest.mark.parametrize("name", ["VP9", "AV1", "H265"])
def test_other_codecs_pass_where_both_sides_speak_them(name: str) -> None:
    lines = read_offer("obs_publish").splitlines()
    number = next(line.split(":")[1].split()[0] for line in lines if "H264/90000" in line)
    kept = [
        line for line in lines if not line.startswith((f"a=fmtp:{number}", f"a=rtcp-fb:{number}"))
    ]
    sdp = "\r\n".join(kept).replace("H264/90000", f"{name}/90000") + "\r\n"
    assert choose_publish(parse_offer(sdp))["video"].codec.name == name
    watcher = parse_offer(sdp.replace("a=sendonly", "a=recvonly"))
    assert choose_watch(watcher, {"video": video(name)})["video"].codec.name == name
    with pytest.raises(NoSupportedCodec):
        choose_watch(watcher, {"video": video("VP8")})


def test_h264_in_mode_0_alone_is_not_enough() -> None:
    sdp = read_offer("obs_publish").replace("packetization-mode=1", "packetization-mode=0")
    with pytest.raises(NoSupportedCodec):
        choose_publish(parse_offer(sdp))


def test_viewers_of_a_room_decide_what_a_returning_publisher_is_asked_for() -> None:
    offer = parse_offer(read_offer("chromium_publish"))
    assert choose_publish(offer, ("VP8", "H264"))["video"].codec.name == "VP8"


def test_the_viewers_profile_closest_to_the_publishers_is_chosen() -> None:
    offer = parse_offer(read_offer("chromium_watch"))
    chosen = choose_watch(offer, {"video": video("H264", "4d001f")})
    assert chosen["video"].codec.get_parameter("profile-level-id") == "4d001f"


@pytest.mark.parametrize("name", ["audio_only_publish", "data_only", "chromium_watch"])
def test_a_publish_that_sends_no_video_is_refused(name: str) -> None:
    with pytest.raises(NoSupportedCodec) as refusal:
        choose_publish(parse_offer(read_offer(name)))
    assert refusal.value.status == 406


@pytest.mark.parametrize("name", ["chromium_publish", "data_only"])
def test_a_watch_that_receives_nothing_is_refused(name: str) -> None:
    with pytest.raises(NoSupportedCodec):
        choose_watch(parse_offer(read_offer(name)), {"video": video("H264"), "audio": OPUS})


def test_a_viewer_who_cannot_decode_the_video_is_refused_even_if_sound_would_fit() -> None:
    sdp = re.sub(r"a=rtpmap:\d+ VP8/90000\r\n", "", read_offer("safari_watch"))
    with pytest.raises(NoSupportedCodec):
        choose_watch(parse_offer(sdp), {"video": video("VP8"), "audio": OPUS})


def test_sound_the_publisher_does_not_send_is_rejected_in_place() -> None:
    offer = parse_offer(read_offer("safari_watch"))
    chosen = choose_watch(offer, {"video": video("H264")})
    answer = SessionDescription.parse(build_answer(offer, chosen, TRANSPORT, STREAM))
    assert [(m.kind, m.port) for m in answer.media] == [("audio", 0), ("video", 9)]


def change(old: str, new: str, count: int = -1) -> Callable[[str], str]:
    def apply(sdp: str) -> str:
        assert old in sdp, f"{old!r} is not in the offer"
        return sdp.replace(old, new, count)

    return apply


def cut(pattern: str) -> Callable[[str], str]:
    return lambda sdp: re.sub(rf"{pattern}[^\r]*\r\n", "", sdp)


MALFORMATIONS: dict[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "json": lambda _: '{"sdp": "v=0"}',
    "html": lambda _: "<html></html>",
    "only the version": lambda _: "v=0\r\n",
    "version 1": change("v=0", "v=1"),
    "version not a number": change("v=0\r\n", "v=0x\r\n"),
    "binary": lambda sdp: sdp + "\0",
    "too long": lambda sdp: sdp + "a=x\r\n" * 20_000,
    "too many sections": lambda sdp: sdp + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 20,
    "no sections": lambda sdp: sdp.split("m=")[0],
    "section without formats": change("UDP/TLS/RTP/SAVPF 96", "UDP/TLS/RTP/SAVPF"),
    "payload type not a number": change("SAVPF 96", "SAVPF abc"),
    "payload type of rtcp": change("SAVPF 96", "SAVPF 72"),
    "payload type of 300": change("96", "300"),
    "rtpmap without clock": change("H264/90000", "H264"),
    "rtpmap clock not a number": change("H264/90000", "H264/x"),
    "fmtp that is not a number": change("minptime=10", "minptime=ten"),
    "fmtp that would break a line": change("stereo=1", "stereo\x0b=1"),
    "plain rtp": change("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
    "no fingerprint": cut("a=fingerprint"),
    "fingerprint without value": change("a=fingerprint:sha-256", "a=fingerprint:sha-256\r\na=x:"),
    "fingerprint too short": lambda sdp: re.sub("(sha-256 [0-9A-F:]{59}).*", r"\1", sdp),
    "fingerprint of sha-1 alone": change("sha-256", "sha-1"),
    "no setup": cut("a=setup"),
    "unknown setup": change("actpass", "whatever"),
    "no ufrag": cut("a=ice-ufrag"),
    "short ufrag": change("ufrag:Yk3R", "ufrag:Yk3"),
    "ufrag with a colon": change("ufrag:Yk3R", "ufrag:Yk:3R"),
    "no password": cut("a=ice-pwd"),
    "short password": change("pwd:sV7pQm2xW9nLc4TfHj8bZa", "pwd:short"),
    "ice-lite client": change("a=setup", "a=ice-lite\r\na=setup"),
    "no bundle": cut("a=group:BUNDLE"),
    "bundle of a section that is not there": change("BUNDLE 0 1", "BUNDLE 0 1 7"),
    "same mid twice": change("a=mid:1", "a=mid:0"),
    "mid with spaces": change("a=mid:1", "a=mid:1 2"),
    "mid too long": lambda sdp: sdp.replace("a=mid:1", "a=mid:" + "m" * 40),
    "no rtcp-mux": cut("a=rtcp-mux"),
    "truncated in a line": lambda sdp: sdp[: sdp.index("a=fmtp:111") + 21],
}


@pytest.mark.parametrize("name", MALFORMATIONS)
def test_a_malformed_offer_is_a_400(name: str) -> None:
    with pytest.raises(OfferMalformed) as refusal:
        choose_publish(parse_offer(MALFORMATIONS[name](read_offer("obs_publish"))))
    assert refusal.value.status == 400


ODDITIES: dict[str, Callable[[str], str]] = {
    "a candidate nobody can read": lambda s: s + "a=candidate:x\r\na=candidate:1 1 udp\r\n",
    "an ssrc without attribute": lambda s: s + "a=ssrc:77\r\n",
    "an extension without uri": lambda s: s + "a=extmap:1\r\n",
    "an unknown attribute": lambda s: s + "a=x-vendor:thing\r\n",
    "bare newlines": lambda s: s.replace("\r\n", "\n"),
    "spaces at line ends": lambda s: s.replace("\r\n", " \r\n"),
    "spaces between parameters": lambda s: s.replace(";", "; "),
    "an address family of tomorrow": lambda s: s.replace("c=IN IP4 0.0.0.0", "c=IN IP7 x"),
    "parameters of an unknown payload type": lambda s: s + "a=fmtp:99 minptime=ten\r\n",
    "a codec of tomorrow": lambda s: s + "a=rtpmap:98 AV9\r\na=fmtp:98 maxplaybackrate=x\r\n",
    "an rtpmap nobody lists": lambda s: s + "a=rtpmap:99 VP8/90000\r\n",
}


@pytest.mark.parametrize("name", ODDITIES)
def test_an_oddity_in_what_we_do_not_read_refuses_nobody(name: str) -> None:
    answer = answer_publish(ODDITIES[name](read_offer("obs_publish")))
    assert [m.rtp.codecs[0].name for m in answer.media] == ["opus", "H264"]


def test_more_about_codecs_than_anybody_writes_is_not_even_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The parser's time, and what it makes, grow with codecs times their lines."""
    codecs = "".join(f"a=rtpmap:{number} VP8/90000\r\n" for number in range(96, 1296))
    lines = "a=rtcp-fb:* nack\r\n" * 1900
    offer = read_offer("obs_publish") + codecs + lines
    assert len(offer) <= OFFER_CHARS_MAX
    monkeypatch.setattr(SessionDescription, "parse", None)
    with pytest.raises(OfferMalformed) as refusal:
        parse_offer(offer)
    assert refusal.value.details == {"reason": "codec_count"}


def test_a_client_that_only_waits_is_answered_by_our_starting_the_handshake() -> None:
    for theirs, ours in (("actpass", "server"), ("active", "server"), ("passive", "client")):
        sdp = read_offer("obs_publish").replace("a=setup:actpass", f"a=setup:{theirs}")
        section = answer_publish(sdp).media[0]
        assert section.dtls is not None
        assert section.dtls.role == ours
    assert parse_offer(sdp).is_dtls_server


def test_one_payload_type_for_sound_and_video_is_refused() -> None:
    sdp = read_offer("obs_publish").replace(":111", ":96").replace("SAVPF 111", "SAVPF 96")
    with pytest.raises(OfferMalformed):
        choose_publish(parse_offer(sdp))


def test_the_transport_is_the_one_of_the_bundles_first_section() -> None:
    offer = parse_offer(read_offer("max_bundle_publish"))
    assert offer.ice_ufrag == "n3Wq"
    assert [f.algorithm for f in offer.fingerprints] == ["sha-256"]


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_mutilated_offer_is_read_or_refused_but_never_crashes(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["obs_publish", "firefox_publish", "max_bundle_publish"]))
    lines = read_offer(name).split("\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(["cut", "drop", "twice", "replace"]))
        if how == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
        elif how == "drop":
            del lines[at]
        elif how == "twice":
            lines.insert(at, lines[at])
        else:
            lines[at] = lines[at][:3] + data.draw(st.text(max_size=20))
        lines = lines or [""]
    check_read_or_refused("\r\n".join(lines))


def check_read_or_refused(sdp: str) -> None:
    try:
        offer: Offer = parse_offer(sdp)
        chosen = choose_publish(offer)
    except (OfferMalformed, NoSupportedCodec):
        return
    answer = SessionDescription.parse(build_answer(offer, chosen, TRANSPORT, None))
    assert len(answer.media) == len(offer.media)
