"""Handshakes succeed with the offered certificate alone, and survive loss and rubbish."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest

from media.sfu.dtls import (
    DATAGRAM_BYTES_MAX,
    DtlsIdentity,
    DtlsSrtpPeer,
    DtlsState,
    Fingerprint,
    split_datagrams,
)
from media.sfu.ice import IceAgent, IceCredentials
from media.sfu.packets_out import OutPacket
from media.sfu.session import FLIGHTS_BYTES_MAX, PeerSession, SessionParts
from media.sfu.srtp import PROFILES, SOURCES_MAX, SrtpPair
from media.sfu.stun import Address
from tests.media.sfu.packets import seal
from tests.media.sfu.peer import DtlsClient

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def identity() -> DtlsIdentity:
    return DtlsIdentity(datetime.now(UTC))


def shake_hands(peer: DtlsSrtpPeer, client: DtlsClient) -> None:
    """Carry datagrams both ways until neither has more to say."""
    flight = client.start()
    while flight:
        answers = [answer for datagram in flight for answer in peer.receive(datagram)]
        flight = [reply for answer in answers for reply in client.receive(answer)]


def expect(client: DtlsClient) -> list[Fingerprint]:
    return [Fingerprint("sha-256", client.fingerprint)]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name.decode())
def test_both_sides_end_with_the_same_keys(identity: DtlsIdentity, profile: object) -> None:
    client = DtlsClient(profile.name)
    peer = DtlsSrtpPeer(identity, expect(client))
    shake_hands(peer, client)
    assert peer.state is DtlsState.CONNECTED
    assert client.is_connected
    assert client.server_fingerprint == identity.fingerprint.value
    assert peer.keys is not None
    assert peer.keys.profile is profile
    ours = SrtpPair(peer.keys)
    sending, receiving = client.make_srtp()
    packet = b"\x80\x60" + bytes(10) + b"payload"
    sealed = seal(ours, OutPacket(packet[:12], packet[12:], 0, 0))
    assert receiving.unprotect(sealed) == packet
    assert ours.unprotect(sending.protect(packet)) == packet
    assert ours.unprotect(b"\x80\x60" + bytes(40)) is None
    report = b"\x80\xc9\x00\x01" + bytes(4)
    assert ours.unprotect_rtcp(sending.protect_rtcp(report)) == report
    assert receiving.unprotect_rtcp(ours.protect_rtcp(report)) == report


def test_another_certificate_than_the_offered_one_is_refused(identity: DtlsIdentity) -> None:
    client, other = DtlsClient(), DtlsClient()
    peer = DtlsSrtpPeer(identity, expect(other))
    shake_hands(peer, client)
    assert (peer.state, peer.failure, peer.keys) == (DtlsState.FAILED, "fingerprint", None)
    assert peer.receive(b"\x16") == []


def test_every_offered_fingerprint_must_match(identity: DtlsIdentity) -> None:
    client = DtlsClient()
    wrong = Fingerprint("sha-512", ":".join(["00"] * 64))
    peer = DtlsSrtpPeer(identity, [*expect(client), wrong])
    shake_hands(peer, client)
    assert peer.state is DtlsState.FAILED


def test_a_client_without_srtp_is_refused(identity: DtlsIdentity) -> None:
    client = DtlsClient(b"SRTP_AES128_CM_SHA1_32")
    peer = DtlsSrtpPeer(identity, expect(client))
    shake_hands(peer, client)
    assert peer.state is DtlsState.FAILED


def test_rubbish_before_and_during_the_handshake_harms_nothing(identity: DtlsIdentity) -> None:
    client = DtlsClient()
    peer = DtlsSrtpPeer(identity, expect(client))
    peer.receive(b"\x16\xfe\xfd" + bytes(30))
    peer.receive(b"\x20rubbish")
    flight = client.start()
    while flight:
        peer.receive(b"\x16\xfe\xfd\x00\x00\xff")
        answers = [answer for datagram in flight for answer in peer.receive(datagram)]
        flight = [reply for answer in answers for reply in client.receive(answer)]
    assert peer.state is DtlsState.CONNECTED


def test_a_repeated_last_flight_is_answered_again(identity: DtlsIdentity) -> None:
    client = DtlsClient()
    peer = DtlsSrtpPeer(identity, expect(client))
    (hello,) = client.start()
    (flight,) = peer.receive(hello)
    (last,) = client.receive(flight)
    lost = peer.receive(last)
    assert lost
    again = peer.receive(last)
    assert peer.state is DtlsState.CONNECTED
    for datagram in again or lost:
        client.receive(datagram)
    assert client.is_connected


def test_goodbye_is_heard_and_said(identity: DtlsIdentity) -> None:
    client = DtlsClient()
    peer = DtlsSrtpPeer(identity, expect(client))
    shake_hands(peer, client)
    for datagram in client.close():
        peer.receive(datagram)
    assert peer.state is DtlsState.CLOSED

    client = DtlsClient()
    peer = DtlsSrtpPeer(identity, expect(client))
    shake_hands(peer, client)
    for datagram in peer.close():
        client.receive(datagram)
    assert client.is_closed
    assert peer.close() == []


def test_nothing_is_retransmitted_before_anything_was_sent(identity: DtlsIdentity) -> None:
    peer = DtlsSrtpPeer(identity, [])
    assert peer.retransmit() == []
    assert peer.close() == []


def test_long_flights_are_cut_between_records() -> None:
    records = [
        b"\x16\xfe\xfd" + bytes(8) + (500).to_bytes(2, "big") + bytes([n]) * 500 for n in range(5)
    ]
    datagrams = list(split_datagrams(b"".join(records)))
    assert b"".join(datagrams) == b"".join(records)
    assert [len(d) // 513 for d in datagrams] == [2, 2, 1]
    assert all(len(d) <= DATAGRAM_BYTES_MAX for d in datagrams)
    assert list(split_datagrams(b"")) == []


def test_a_hello_that_comes_again_draws_nothing(identity: DtlsIdentity) -> None:
    client = DtlsClient()
    peer = DtlsSrtpPeer(identity, expect(client))
    (hello,) = client.start()
    assert sum(map(len, peer.receive(hello))) < 1000
    assert all(peer.receive(hello) == [] for _ in range(10))


def test_flights_bind_a_path_and_end_while_it_is_unproven(identity: DtlsIdentity) -> None:
    peer = DtlsSrtpPeer(identity, [], is_client=True)
    agent = IceAgent("session", IceCredentials("theirs", "p" * 22))
    sent: list[bytes] = []

    def transmit(datagram: bytes, _address: Address) -> None:
        sent.append(datagram)

    session = PeerSession(SessionParts("session", "r", agent, peer, transmit, 0.0))
    session.send([b"nobody knows where to"])
    assert (sent, agent.is_bound) == ([], False)
    agent.address = ("192.0.2.1", 9)
    session.send(peer.start())
    assert agent.is_bound
    for number in range(100):
        session.send(peer.receive(ask_hello_again(number)))
    assert FLIGHTS_BYTES_MAX / 2 < sum(map(len, sent)) <= FLIGHTS_BYTES_MAX


def ask_hello_again(number: int) -> bytes:
    """Return a HelloVerifyRequest (RFC 6347 §4.2.1), which a client answers with its hello."""
    body = b"\xfe\xff\x08" + struct.pack("!Q", number)
    size = len(body).to_bytes(3, "big")
    message = b"\x03" + size + struct.pack("!H", number) + b"\0\0\0" + size + body
    record = struct.pack("!BHHIHH", 22, 0xFEFF, 0, 0, number, len(message))
    return record + message


def test_what_a_peer_says_besides_is_read_and_does_not_gather(identity: DtlsIdentity) -> None:
    client = DtlsClient()
    peer = DtlsSrtpPeer(identity, expect(client))
    shake_hands(peer, client)
    for _ in range(20):
        peer.receive(b"".join(record for _ in range(10) for record in client.say(b"hello")))
    assert peer.state is DtlsState.CONNECTED
    for datagram in client.close():
        peer.receive(datagram)
    assert peer.state is DtlsState.CLOSED, "nothing that came before waits to be read"


def test_a_peer_is_heard_under_so_many_names_and_no_more(identity: DtlsIdentity) -> None:
    client = DtlsClient()
    peer = DtlsSrtpPeer(identity, expect(client))
    shake_hands(peer, client)
    assert peer.keys is not None
    ours = SrtpPair(peer.keys)
    sending, _ = client.make_srtp()

    def send(ssrc: int, seq: int) -> tuple[bool, bool]:
        """Send under a name; return whether sound or picture, and a report, were read."""
        name = ssrc.to_bytes(4, "big")
        packet = struct.pack("!BBHI", 0x80, 0x60, seq, seq) + name + b"payload"
        media = ours.unprotect(sending.protect(packet))
        report = ours.unprotect_rtcp(sending.protect_rtcp(b"\x80\xc9\x00\x01" + name))
        return media is not None, report is not None

    assert all(send(ssrc, 1) == (True, True) for ssrc in range(1, SOURCES_MAX + 1))
    assert send(SOURCES_MAX + 1, 1) == (False, False)
    assert send(1, 2) == (True, True)
