"""A small WebRTC client for tests: its own ICE, DTLS and SRTP, apart from the code under test.

`DtlsClient` works in memory; `RtcPeer` puts it on a real socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, cast

import pylibsrtp
from aioice import stun
from aiortc.sdp import SessionDescription
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from pylibsrtp import Policy, Session

PROFILES = {
    b"SRTP_AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    b"SRTP_AES128_CM_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}
CODECS = {
    "H264": (102, "H264/90000", "packetization-mode=1;profile-level-id=42e01f"),
    "VP8": (96, "VP8/90000", ""),
    "VP9": (98, "VP9/90000", "profile-id=0"),
    "AV1": (45, "AV1/90000", "level-idx=5;profile=0;tier=0"),
    "H265": (49, "H265/90000", "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST"),
    "opus": (111, "opus/48000/2", "minptime=10;useinbandfec=1"),
}


class DtlsClient:
    """The client's end of a DTLS-SRTP connection, fed by hand; it may also wait as the server."""

    def __init__(self, profiles: bytes = b":".join(PROFILES), *, waits: bool = False) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        self.fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        context = SSL.Context(SSL.DTLS_METHOD)
        required = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        context.set_verify(required, lambda *_: True)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_tlsext_use_srtp(profiles)
        self._connection = SSL.Connection(context, None)
        self.waits = waits
        if waits:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()
        self._connection.set_ciphertext_mtu(1200)
        self.is_connected = False
        self.is_closed = False

    def start(self) -> list[bytes]:
        """Return the first flight."""
        return self._advance()

    def receive(self, datagram: bytes) -> list[bytes]:
        """Take a datagram and return what to send."""
        self._connection.bio_write(datagram)
        return self._advance()

    def retransmit(self) -> list[bytes]:
        """Return the last flight again if its timer ran out."""
        self._connection.DTLSv1_handle_timeout()
        return self._take_output()

    def say(self, words: bytes) -> list[bytes]:
        """Return a record of application data, which nobody wants."""
        self._connection.send(words)
        return self._take_output()

    def close(self) -> list[bytes]:
        """Return close_notify."""
        self._connection.shutdown()
        return self._take_output()

    @property
    def server_fingerprint(self) -> str:
        """The server's certificate as SDP writes it."""
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        return certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def make_srtp(self) -> tuple[Session, Session]:
        """Return the sending and the receiving SRTP session."""
        number, key, salt = PROFILES[self._connection.get_selected_srtp_profile()]
        out = self._connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = out[:key] + out[2 * key : 2 * key + salt]
        server = out[key : 2 * key] + out[2 * key + salt :]
        mine, other = (server, client) if self.waits else (client, server)
        sending = Policy(mine, Policy.SSRC_ANY_OUTBOUND, srtp_profile=number)
        sending.allow_repeat_tx = True
        sending.window_size = 1024
        receiving = Policy(other, Policy.SSRC_ANY_INBOUND, srtp_profile=number)
        receiving.window_size = 1024
        return Session(sending), Session(receiving)

    def _advance(self) -> list[bytes]:
        try:
            if self.is_connected:
                self._connection.recv(2048)
            else:
                self._connection.do_handshake()
                self.is_connected = True
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.is_closed = True
        return self._take_output()

    def _take_output(self) -> list[bytes]:
        try:
            return [self._connection.bio_read(65536)]
        except SSL.Error:
            return []


@dataclass
class Credentials:
    """What the peer puts into its offer, and what it learnt from the answer."""

    ufrag: str = field(default_factory=lambda: secrets.token_hex(4))
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    remote_ufrag: str = ""
    remote_password: str = ""
    remote_fingerprint: str = ""
    address: tuple[str, int] = ("", 0)


def make_offer(
    credentials: Credentials, fingerprint: str, direction: str, codecs: tuple[str, ...]
) -> str:
    """Write an offer with one section per codec."""
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0"]
    lines.append("a=group:BUNDLE " + " ".join(str(n) for n in range(len(codecs))))
    for number, codec in enumerate(codecs):
        payload_type, name, parameters = CODECS[codec]
        kind = "audio" if codec == "opus" else "video"
        lines += [
            f"m={kind} 9 UDP/TLS/RTP/SAVPF {payload_type}",
            "c=IN IP4 0.0.0.0",
            f"a=mid:{number}",
            f"a={direction}",
            f"a=ice-ufrag:{credentials.ufrag}",
            f"a=ice-pwd:{credentials.password}",
            f"a=fingerprint:sha-256 {fingerprint}",
            "a=setup:actpass",
            "a=rtcp-mux",
            f"a=rtpmap:{payload_type} {name}",
        ]
        if parameters:
            lines.append(f"a=fmtp:{payload_type} {parameters}")
    return "\r\n".join(lines) + "\r\n"


def answer_check(credentials: Credentials, request: stun.Message) -> bytes:
    """Answer a check that is for this peer and says what RFC 8445 §7.1 asks for."""
    password = credentials.password.encode()
    assert request.attributes["USERNAME"] == f"{credentials.ufrag}:{credentials.remote_ufrag}"
    assert request.check_message_integrity(password)
    assert {"PRIORITY", "ICE-CONTROLLED", "FINGERPRINT"} <= set(request.attributes)
    assert "USE-CANDIDATE" not in request.attributes
    response = stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id)
    response.attributes["XOR-MAPPED-ADDRESS"] = credentials.address
    response.add_message_integrity(password)
    return bytes(response)


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let work that never ends go on within the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class RtcPeer(asyncio.DatagramProtocol):
    """A publisher or viewer on its own UDP socket; owns the socket until `close`."""

    def __init__(
        self,
        codecs: tuple[str, ...] = ("VP8", "opus"),
        direction: str = "recvonly",
        *,
        waits: bool = False,
    ) -> None:
        self.credentials = Credentials()
        self.dtls = DtlsClient(waits=waits)
        offer = make_offer(self.credentials, self.dtls.fingerprint, direction, codecs)
        self.offer = offer.replace("a=setup:actpass", "a=setup:passive") if waits else offer
        self.answer: SessionDescription | None = None
        self.ssrcs: dict[str, int] = {}
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.raw: list[bytes] = []
        self.undecryptable = 0
        self.checks: list[bytes] = []
        self.answers_checks = True
        self.is_lost: Callable[[bytes], bool] = lambda _: False
        self._transport: asyncio.DatagramTransport | None = None
        self._proven = asyncio.Event()
        self._connected = asyncio.Event()
        self._out: Session | None = None
        self._in: Session | None = None
        self._consent: asyncio.Task[None] | None = None

    async def connect(self, answer: str, timeout_s: float = 60.0) -> None:
        """Run ICE and DTLS against an answer."""
        self.apply_answer(answer)
        await self.open_transport()
        async with asyncio.timeout(timeout_s):
            while not self._proven.is_set():
                self.check()
                await asyncio.sleep(0.05)
            self._send([] if self.dtls.waits else self.dtls.start())
            while not self._connected.is_set():
                await asyncio.sleep(0.02)
                self._send(self.dtls.retransmit() if not self.dtls.is_connected else [])
        assert self.dtls.server_fingerprint == self.credentials.remote_fingerprint
        self._consent = asyncio.create_task(self._keep_consent())

    async def open_transport(self) -> None:
        """Open a socket towards the answer's address."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, remote_addr=self.credentials.address)

    async def move(self) -> None:
        """Go on by another socket; the one before is closed."""
        before = self._transport
        await self.open_transport()
        if before is not None:
            before.close()

    def apply_answer(self, answer: str) -> None:
        """Read credentials, address and SSRCs from the answer."""
        self.answer = SessionDescription.parse(answer)
        section = next(m for m in self.answer.media if m.port)
        assert section.ice is not None
        assert section.dtls is not None
        self.credentials.remote_ufrag = section.ice.usernameFragment or ""
        self.credentials.remote_password = section.ice.password or ""
        self.credentials.remote_fingerprint = section.dtls.fingerprints[0].value
        candidate = section.ice_candidates[0]
        self.credentials.address = (candidate.ip, candidate.port)
        self.ssrcs = {m.kind: m.ssrc[0].ssrc for m in self.answer.media if m.ssrc}

    def check(self) -> None:
        """Send one connectivity check that nominates this path."""
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        names = (self.credentials.remote_ufrag, self.credentials.ufrag)
        message.attributes["USERNAME"] = ":".join(names)
        message.attributes["PRIORITY"] = 1
        message.attributes["ICE-CONTROLLING"] = 1
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(self.credentials.remote_password.encode())
        self._send([bytes(message)])

    def stop_consent(self) -> None:
        """Fall silent without saying goodbye."""
        if self._consent is not None:
            self._consent.cancel()

    def send_rtp(self, packet: bytes) -> None:
        """Protect and send one RTP packet."""
        assert self._out is not None
        self._send([self._out.protect(packet)])

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and send one compound RTCP packet."""
        assert self._out is not None
        self._send([self._out.protect_rtcp(packet)])

    def send_raw(self, datagram: bytes) -> None:
        """Send any bytes."""
        self._send([datagram])

    def close(self, *, politely: bool = True) -> None:
        """Leave, with or without close_notify."""
        self.stop_consent()
        if politely and self.dtls.is_connected:
            self._send(self.dtls.close())
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def error_received(self, exc: Exception) -> None:
        """Ignore ICMP errors: the server may close first."""

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Tell STUN, DTLS and SRTP apart."""
        if data[0] < 4:
            self._take_stun(data)
        elif data[0] < 64:
            self._send(self.dtls.receive(data))
            if self.dtls.is_connected and self._in is None:
                self._out, self._in = self.dtls.make_srtp()
                self._connected.set()
        elif not self.is_lost(data):
            self.receive_media(data)

    def _take_stun(self, data: bytes) -> None:
        """Take an answer to a check of ours, or answer one of the other side."""
        message = stun.parse_message(data)
        if message.message_class is stun.Class.RESPONSE:
            assert message.check_message_integrity(self.credentials.remote_password.encode())
            self._proven.set()
        else:
            self.checks.append(data)
            if self.answers_checks:
                self._send([answer_check(self.credentials, message)])

    def receive_media(self, data: bytes) -> None:
        """Decrypt and keep one packet."""
        if self._in is None:
            return
        self.raw.append(data)
        try:
            if 192 <= data[1] <= 223:
                self.rtcp.append(self._in.unprotect_rtcp(data))
            else:
                self.rtp.append(self._in.unprotect(data))
        except pylibsrtp.Error:
            self.undecryptable += 1

    async def _keep_consent(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self.check()

    def _send(self, datagrams: list[bytes]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            for datagram in datagrams:
                self._transport.sendto(datagram)
