"""DTLS-SRTP (RFC 5764): our certificate, and our side of one handshake per session.

Called by `server` on the event loop. A whole handshake costs this side about 0.4 ms
(benchmarks/sfu_fanout), so it needs no thread; `server` limits their rate and share of a turn.
Sends nothing itself: what must go out is returned, already cut into datagrams.
"""

from __future__ import annotations

import datetime
import enum
import hmac
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from media.sfu.srtp import PROFILES, SrtpKeys, split_exported_keys

CERTIFICATE_DAYS = 365
DATAGRAM_BYTES_MAX = 1200
RECORD_HEADER_BYTES = 13
DTLS_1_2 = 0xFEFD
CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
)
DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha-256": hashes.SHA256(),
    "sha-384": hashes.SHA384(),
    "sha-512": hashes.SHA512(),
}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A certificate's digest as SDP writes it: `AB:CD:…` under a lower-case algorithm name."""

    algorithm: str
    value: str


class DtlsIdentity:
    """The certificate of this process, made at start and told to peers by fingerprint."""

    def __init__(self, now: datetime.datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _make_certificate(key, now)
        self.fingerprint = Fingerprint("sha-256", _digest_certificate(certificate, "sha-256"))
        self._context = _make_context(key, certificate)

    def open_connection(self, *, is_client: bool) -> SSL.Connection:
        """Return a fresh connection over memory."""
        connection = SSL.Connection(self._context, None)
        if is_client:
            connection.set_connect_state()
        else:
            connection.set_accept_state()
        connection.set_ciphertext_mtu(DATAGRAM_BYTES_MAX)
        return connection


class DtlsState(enum.Enum):
    """Where a handshake stands; the last two are final."""

    HANDSHAKING = "handshaking"
    CONNECTED = "connected"
    CLOSED = "closed"
    FAILED = "failed"


class DtlsSrtpPeer:
    """One peer's handshake; `keys` is set once `state` is CONNECTED.

    We are the server, unless the peer offered to be only that: then `is_client` is set, and
    `start` must be called once the peer's address is known.
    """

    def __init__(
        self, identity: DtlsIdentity, expected: Sequence[Fingerprint], *, is_client: bool = False
    ) -> None:
        self._connection = identity.open_connection(is_client=is_client)
        self.is_client = is_client
        self._expected = tuple(expected)
        self.state = DtlsState.HANDSHAKING
        self.is_started = False
        self.failure: str | None = None
        self.keys: SrtpKeys | None = None

    def start(self) -> list[bytes]:
        """Begin the handshake as its client and return the first flight."""
        assert self.is_client, "a server waits for its client"
        self.is_started = True
        self._shake_hands()
        return self._take_output()

    def receive(self, datagram: bytes) -> list[bytes]:
        """Take one datagram from the peer and return the datagrams to send back."""
        if not datagram or self.state in (DtlsState.CLOSED, DtlsState.FAILED):
            return []
        self.is_started = True
        self._connection.bio_write(datagram)
        if self.state is DtlsState.HANDSHAKING:
            self._shake_hands()
        else:
            self._read_alerts()
        return self._take_output()

    def retransmit(self) -> list[bytes]:
        """Return the last flight again when its timer ran out; call a few times a second."""
        if not self.is_started or self.state is not DtlsState.HANDSHAKING:
            return []
        wait_s = self._connection.DTLSv1_get_timeout()
        if wait_s is None or wait_s > 0:
            return []
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error:
            self._fail("too_many_timeouts")
        return self._take_output()

    def close(self) -> list[bytes]:
        """End the session and return the close_notify to send, if there was a session."""
        was_connected = self.state is DtlsState.CONNECTED
        if self.state is not DtlsState.FAILED:
            self.state = DtlsState.CLOSED
        if not was_connected:
            return []
        try:
            self._connection.shutdown()
        except SSL.Error:
            return []
        return self._take_output()

    def _shake_hands(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error:
            self._fail("handshake")
            return
        self._accept_peer()

    def _accept_peer(self) -> None:
        """Check the certificate against the offer, then export the SRTP keys."""
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is None or not is_expected(certificate, self._expected):
            self._fail("fingerprint")
            return
        chosen = self._connection.get_selected_srtp_profile()
        profile = next((p for p in PROFILES if p.name == chosen), None)
        if profile is None:
            self._fail("srtp_profile")
            return
        exported = self._connection.export_keying_material(
            b"EXTRACTOR-dtls_srtp", profile.exported_bytes
        )
        self.keys = split_exported_keys(profile, exported, is_client=self.is_client)
        self.state = DtlsState.CONNECTED

    def _read_alerts(self) -> None:
        """Let OpenSSL see close_notify and repeated flights; application data is not ours.

        All records of a datagram are read: what stayed would gather in memory.
        """
        try:
            while True:
                self._connection.recv(2048)
        except SSL.WantReadError:
            return
        except SSL.ZeroReturnError:
            self.state = DtlsState.CLOSED
        except SSL.Error:
            self._fail("alert")

    def _fail(self, reason: str) -> None:
        self.state = DtlsState.FAILED
        self.failure = reason

    def _take_output(self) -> list[bytes]:
        chunks = bytearray()
        while True:
            try:
                chunks += self._connection.bio_read(65536)
            except SSL.Error:  # WantReadError: nothing left to write.
                return list(split_datagrams(bytes(chunks)))


def split_datagrams(records: bytes) -> Iterator[bytes]:
    """Pack whole DTLS records into datagrams of at most `DATAGRAM_BYTES_MAX` (RFC 6347 §4.1.1)."""
    start = end = 0
    while end + RECORD_HEADER_BYTES <= len(records):
        size = RECORD_HEADER_BYTES + int.from_bytes(records[end + 11 : end + 13], "big")
        if end > start and end + size - start > DATAGRAM_BYTES_MAX:
            yield records[start:end]
            start = end
        end += size
    if end > start:
        yield records[start:end]


def is_expected(certificate: x509.Certificate, expected: Sequence[Fingerprint]) -> bool:
    """Tell whether every fingerprint we can compute matches, and there is at least one."""
    known = [f for f in expected if f.algorithm in DIGESTS]
    return bool(known) and all(
        hmac.compare_digest(_digest_certificate(certificate, f.algorithm), f.value.upper())
        for f in known
    )


def _digest_certificate(certificate: x509.Certificate, algorithm: str) -> str:
    return certificate.fingerprint(DIGESTS[algorithm]).hex(":").upper()


def _make_certificate(key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(8))])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=CERTIFICATE_DAYS))
        .sign(key, hashes.SHA256())
    )


def _make_context(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> SSL.Context:
    """Prepare the one context of the process.

    DTLS 1.2 only: its record headers are what `split_datagrams` reads, and every WebRTC client
    speaks it (RFC 8827 §6.5). Certificates are self-signed by design and checked by fingerprint.
    """
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(DTLS_1_2)
    context.set_max_proto_version(DTLS_1_2)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU)
    context.set_verify(
        SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
        lambda _connection, _certificate, _error, _depth, _is_ok: True,
    )
    context.use_certificate(certificate)
    context.use_privatekey(key)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(CIPHERS)
    context.set_tlsext_use_srtp(b":".join(profile.name for profile in PROFILES))
    return context
