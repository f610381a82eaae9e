"""SRTP contexts of one session (RFC 3711, RFC 7714): libsrtp, and AES-GCM directly for media out.

Built by `session` from the keys DTLS exported; used only on the event loop's thread. Every peer
has its own context, so every viewer's rollover counter starts at 0 at its own first packet, as
its receiver's does; `fanout` picks sequence numbers for which that is safe.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pylibsrtp
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pylibsrtp import Policy, Session

from media.sfu import compiled_loop
from media.sfu.packets_out import OutPacket

REPLAY_WINDOW_PACKETS = 1024
# libsrtp's wrapper works in a 1500-byte buffer and keeps 144 bytes of it for the trailer.
PLAINTEXT_BYTES_MAX = 1356
GCM_TAG_BYTES = 16
SOURCES_MAX = 256
"""SSRCs of one peer that are heard. libsrtp keeps each for as long as the peer is here, and looks
through all of them for every packet; nobody sends with more than a dozen."""


@dataclass(frozen=True, slots=True)
class SrtpProfile:
    """A protection profile under its OpenSSL name, with its key sizes in bytes."""

    name: bytes
    libsrtp_profile: int
    key_bytes: int
    salt_bytes: int

    @property
    def exported_bytes(self) -> int:
        """Keying material to export for both directions (RFC 5764 §4.2)."""
        return 2 * (self.key_bytes + self.salt_bytes)


PROFILES = (
    SrtpProfile(b"SRTP_AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    SrtpProfile(b"SRTP_AES128_CM_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
)


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Key and salt per direction: what we receive has one, what we send the other."""

    profile: SrtpProfile
    receiving: bytes
    sending: bytes


def split_exported_keys(profile: SrtpProfile, exported: bytes, *, is_client: bool) -> SrtpKeys:
    """Cut the DTLS exporter's output into key and salt per direction (RFC 5764 §4.2).

    The DTLS client's come first in each pair; `is_client` says whether that is us.
    """
    key, salt = profile.key_bytes, profile.salt_bytes
    salts = exported[2 * key :]
    client = exported[:key] + salts[:salt]
    server = exported[key : 2 * key] + salts[salt : 2 * salt]
    return SrtpKeys(profile, *((server, client) if is_client else (client, server)))


class GcmSealer:
    """Protects media with AES-GCM straight into the egress's buffer (RFC 7714).

    About 1 µs a packet of 1,100 bytes, 1.8 by libsrtp's wrapper (benchmarks/sfu_fanout). The
    nonce is the packet's own (RFC 7714 §8.1), so the same packet gives the same bytes, which is
    what a retransmission must be: a nonce reused on other bytes would leak the key stream.
    """

    tag_bytes = GCM_TAG_BYTES

    def __init__(self, keys: SrtpKeys) -> None:
        key, salt = derive_session_keys(keys.sending, keys.profile)
        self._key = key
        self._encrypt_into: Callable[[bytes, bytes, bytes, memoryview], int] | None = None
        """Made when first needed: beside the compiled loop it would be kilobytes for nothing."""
        self._salt = int.from_bytes(salt, "big")
        self._streams: dict[int, tuple[int, int]] = {}
        self._context = 0
        self._described: dict[int, bytes] = {}

    def seal(self, packets: Sequence[OutPacket], into: memoryview, at: int) -> int:
        """Write SRTP packets of one stream; raises OverflowError for one from before its start."""
        masked, start = self._find_stream(packets[0].ssrc, packets[0].index)
        encrypt_into = self._encrypt_into
        if encrypt_into is None:
            encrypt_into = self._encrypt_into = AESGCM(self._key).encrypt_into
        for header, payload, index, _ssrc in packets:
            if index < start:
                raise OverflowError
            body = at + len(header)
            end = body + len(payload) + GCM_TAG_BYTES
            into[at:body] = header
            nonce = (masked ^ (index - start)).to_bytes(12, "big")
            encrypt_into(nonce, payload, header, into[body:end])
            at = end
        return at

    def describe_stream(self, ssrc: int, index: int) -> bytes:
        """Return the stream as `compiled_loop` takes it; empty where there is none."""
        described = self._described.get(ssrc)
        if described is None:
            described = self._described[ssrc] = self._pack_stream(ssrc, index)
        return described

    def _pack_stream(self, ssrc: int, index: int) -> bytes:
        loop = compiled_loop.load()
        if loop is None:
            return b""
        if not self._context:
            self._context = loop.open_key(self._key)
            if not self._context:
                return b""
            weakref.finalize(self, loop.close_key, self._context)
        masked, start = self._find_stream(ssrc, index)
        return compiled_loop.pack_stream(self._context, start, masked)

    def _find_stream(self, ssrc: int, index: int) -> tuple[int, int]:
        """Return a stream's nonce without its index, and the index at which it began."""
        stream = self._streams.get(ssrc)
        if stream is None:
            stream = self._streams[ssrc] = (self._salt ^ (ssrc << 48), index & ~0xFFFF)
        return stream


class LibsrtpSealer:
    """Protects media by libsrtp, for profiles other than AES-GCM."""

    tag_bytes = 10

    def __init__(self, session: Session) -> None:
        self._protect = session.protect

    def seal(self, packets: Sequence[OutPacket], into: memoryview, at: int) -> int:
        """Write SRTP packets; raises pylibsrtp.Error."""
        for packet in packets:
            sealed = self._protect(packet.header + packet.payload)
            into[at : at + len(sealed)] = sealed
            at += len(sealed)
        return at

    def describe_stream(self, _ssrc: int, _index: int) -> bytes:
        """Return nothing: it is sealed here alone."""
        return b""


class SrtpPair:
    """The sending and the receiving context of one peer; `seal` is the egress's way in."""

    def __init__(self, keys: SrtpKeys) -> None:
        profile = keys.profile.libsrtp_profile
        self._out = _make_session(keys.sending, profile, Policy.SSRC_ANY_OUTBOUND)
        self._in = _make_session(keys.receiving, profile, Policy.SSRC_ANY_INBOUND)
        is_gcm = profile == Policy.SRTP_PROFILE_AEAD_AES_128_GCM
        sealer = GcmSealer(keys) if is_gcm else LibsrtpSealer(self._out)
        self.seal, self.describe_stream = sealer.seal, sealer.describe_stream
        self.tag_bytes = sealer.tag_bytes
        self.protect_rtcp = self._out.protect_rtcp
        self._sources: set[bytes] = set()

    def unprotect(self, datagram: bytes) -> bytes | None:
        """Decrypt one RTP packet; None when it is forged, replayed, too old or too long.

        None as well of one more source than `SOURCES_MAX`.
        """
        return self._open(self._in.unprotect, datagram, datagram[8:12])

    def unprotect_rtcp(self, datagram: bytes) -> bytes | None:
        """Decrypt one RTCP packet; None when it is forged, replayed or too long, or as above."""
        return self._open(self._in.unprotect_rtcp, datagram, datagram[4:8])

    def _open(
        self, unprotect: Callable[[bytes], bytes], datagram: bytes, source: bytes
    ) -> bytes | None:
        is_new = source not in self._sources
        if is_new and len(self._sources) >= SOURCES_MAX:
            return None
        try:
            packet = unprotect(datagram)
        except (pylibsrtp.Error, ValueError):
            return None
        if is_new:
            self._sources.add(source)
        return packet


def derive_session_keys(exported: bytes, profile: SrtpProfile) -> tuple[bytes, bytes]:
    """Return encryption key and salt for RTP (RFC 3711 §4.3 with key derivation rate 0)."""
    master, salt = exported[: profile.key_bytes], exported[profile.key_bytes :]
    padded = salt + bytes(14 - len(salt))  # RFC 7714 §11: the salt is 12 bytes there.

    def derive(label: int, size: int) -> bytes:
        block = bytearray(padded)
        block[7] ^= label
        encryptor = Cipher(algorithms.AES(master), modes.CTR(bytes(block) + b"\0\0")).encryptor()
        return encryptor.update(bytes(size))

    return derive(0, profile.key_bytes), derive(2, profile.salt_bytes)


def _make_session(key: bytes, profile: int, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile)
    policy.allow_repeat_tx = True
    policy.window_size = REPLAY_WINDOW_PACKETS
    return Session(policy)
