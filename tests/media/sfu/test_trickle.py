"""Fragments are read strictly, tags tell ICE sessions apart, a restart's answer is complete."""

from __future__ import annotations

import pytest

from media.sfu.answer import LocalTransport
from media.sfu.codecs import choose_publish
from media.sfu.dtls import Fingerprint
from media.sfu.errors import EtagDiffers, EtagMissing, FragmentMalformed
from media.sfu.sdp import parse_offer
from media.sfu.trickle import (
    FRAGMENT_CHARS_MAX,
    Fragment,
    build_fragment,
    check_etag,
    describe_section,
    make_etag,
    parse_fragment,
)
from tests.media.sfu.peer import Credentials, make_offer

pytestmark = pytest.mark.unit

CREDENTIALS = "a=ice-ufrag:abcd\r\na=ice-pwd:" + "p" * 22 + "\r\n"
TRANSPORT = LocalTransport("ours1234", "q" * 32, Fingerprint("sha-256", ""), ("192.0.2.1",), 8002)


def test_a_fragment_names_credentials_or_none() -> None:
    assert parse_fragment(CREDENTIALS) == Fragment("abcd", "p" * 22)
    assert parse_fragment("m=audio 9 X 0\r\n" + CREDENTIALS * 2).ufrag == "abcd"
    assert parse_fragment("a=candidate:1 1 udp 1 192.0.2.1 9 typ host\n") == Fragment("", "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "a=ice-ufrag:abcd\r\n",
        CREDENTIALS.replace("abcd", "a"),
        CREDENTIALS.replace("abcd", "ab cd"),
        CREDENTIALS.replace("p" * 22, "p"),
        CREDENTIALS + "a=ice-ufrag:other\r\na=ice-pwd:" + "o" * 22,
        "a=end-of-candidates\x00",
        "a=x\r\n" * 1000,
        "a=" + "x" * FRAGMENT_CHARS_MAX,
    ],
)
def test_what_is_no_fragment_is_refused(text: str) -> None:
    with pytest.raises(FragmentMalformed):
        parse_fragment(text)


def test_a_patch_must_name_the_present_ice_session() -> None:
    etag = make_etag()
    assert etag[0] == etag[-1] == '"'
    for if_match in (etag, f'"x", {etag}'):
        check_etag(if_match, etag, is_restart=False)
        check_etag(if_match, etag, is_restart=True)
    check_etag("*", etag, is_restart=True)
    for if_match in ('"x"', f"W/{etag}", "*"):
        with pytest.raises(EtagDiffers):
            check_etag(if_match, etag, is_restart=False)
    for missing in (None, "", " "):
        with pytest.raises(EtagMissing):
            check_etag(missing, etag, is_restart=True)


def test_a_restart_is_answered_with_a_fragment_that_reads_back() -> None:
    offer = parse_offer(make_offer(Credentials(), ":".join(["AA"] * 32), "sendonly", ("VP8",)))
    text = build_fragment(describe_section(offer, choose_publish(offer)), TRANSPORT)
    assert parse_fragment(text) == Fragment("ours1234", "q" * 32)
    assert "a=ice-lite" in text
    assert "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n" in text
    assert "a=candidate:1 1 udp" in text
