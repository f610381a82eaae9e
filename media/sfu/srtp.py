"""SRTP contexts of one session (RFC 3711, RFC 7714), on libsrtp.

Built by `session` from the keys DTLS exported; used only on the event loop's thread. Every peer
has its own context, so every viewer's rollover counter starts at 0 at its own first packet, as
its receiver's does; `fanout` picks sequence numbers for which that is safe.
"""

from __future__ import annotations

from dataclasses import dataclass

import pylibsrtp
from pylibsrtp import Policy, Session

REPLAY_WINDOW_PACKETS = 1024
# libsrtp's wrapper works in a 1500-byte buffer and keeps 144 bytes of it for the trailer.
PLAINTEXT_BYTES_MAX = 1356


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


class SrtpPair:
    """The sending and the receiving context of one peer.

    `protect(plaintext) -> bytes` is libsrtp's own bound method: the egress calls it once per
    packet and viewer. Protecting the same plaintext again gives the same bytes, which is what a
    retransmission must be: with AES-GCM a nonce reused on other bytes would leak the key stream.
    """

    def __init__(self, keys: SrtpKeys) -> None:
        profile = keys.profile.libsrtp_profile
        self._out = _make_session(keys.sending, profile, Policy.SSRC_ANY_OUTBOUND)
        self._in = _make_session(keys.receiving, profile, Policy.SSRC_ANY_INBOUND)
        self.protect = self._out.protect
        self.protect_rtcp = self._out.protect_rtcp

    def unprotect(self, datagram: bytes) -> bytes | None:
        """Decrypt one RTP packet; None when it is forged, replayed, too old or too long."""
        try:
            return self._in.unprotect(datagram)
        except (pylibsrtp.Error, ValueError):
            return None

    def unprotect_rtcp(self, datagram: bytes) -> bytes | None:
        """Decrypt one RTCP packet; None when it is forged, replayed or too long."""
        try:
            return self._in.unprotect_rtcp(datagram)
        except (pylibsrtp.Error, ValueError):
            return None


def _make_session(key: bytes, profile: int, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile)
    policy.allow_repeat_tx = True
    policy.window_size = REPLAY_WINDOW_PACKETS
    return Session(policy)
