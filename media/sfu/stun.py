"""STUN binding requests and responses (RFC 8489), as far as an ICE-lite agent needs them.

Pure functions over bytes, called by `ice`. Anything that is not a well-formed binding request or
success response reads as None: a server on an open port owes strangers no answer.
"""

from __future__ import annotations

import hmac
import ipaddress
import struct
import zlib
from dataclasses import dataclass

MAGIC_COOKIE = 0x2112A442
BINDING_REQUEST = 0x0001
BINDING_SUCCESS = 0x0101

ATTR_USERNAME = 0x0006
ATTR_MESSAGE_INTEGRITY = 0x0008
ATTR_XOR_MAPPED_ADDRESS = 0x0020
ATTR_PRIORITY = 0x0024
ATTR_USE_CANDIDATE = 0x0025
ATTR_FINGERPRINT = 0x8028
ATTR_ICE_CONTROLLED = 0x8029

HEADER_BYTES = 20
INTEGRITY_BYTES = 20
FINGERPRINT_XOR = 0x5354554E
MESSAGE_BYTES_MAX = 1280
TRANSACTION_ID_BYTES = 12
TIE_BREAKER_BYTES = 8
PEER_REFLEXIVE_PRIORITY = (110 << 24) | (65535 << 8) | 255
"""What every check has to name (RFC 8445 §7.1.1)."""

_HEADER = struct.Struct("!HHI12s")
_ATTR = struct.Struct("!HH")

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class BindingRequest:
    """One well-formed request; its integrity is checked separately, once the password is known."""

    transaction_id: bytes
    local_ufrag: str
    remote_ufrag: str
    is_nominating: bool
    integrity_at: int


@dataclass(frozen=True, slots=True)
class BindingResponse:
    """One well-formed success response; its integrity is checked separately."""

    transaction_id: bytes
    integrity_at: int


def parse_binding_request(message: bytes) -> BindingRequest | None:
    """Read a binding request with USERNAME and MESSAGE-INTEGRITY; None for anything else."""
    found = _read_signed(message, BINDING_REQUEST)
    username = None if found is None else _get_value(message, found.get(ATTR_USERNAME))
    if found is None or username is None or not username.isascii():
        return None
    local, _, remote = username.decode("ascii").partition(":")
    is_nominating, integrity_at = ATTR_USE_CANDIDATE in found, found[ATTR_MESSAGE_INTEGRITY]
    return BindingRequest(_get_transaction_id(message), local, remote, is_nominating, integrity_at)


def is_binding_response(message: bytes) -> bool:
    """Tell whether a message says that it is a success response."""
    return int.from_bytes(message[:2], "big") == BINDING_SUCCESS


def parse_binding_response(message: bytes) -> BindingResponse | None:
    """Read a success response with MESSAGE-INTEGRITY; None for anything else."""
    found = _read_signed(message, BINDING_SUCCESS)
    if found is None:
        return None
    return BindingResponse(_get_transaction_id(message), found[ATTR_MESSAGE_INTEGRITY])


def is_integrity_valid(
    message: bytes, read: BindingRequest | BindingResponse, password: bytes
) -> bool:
    """Check MESSAGE-INTEGRITY (RFC 8489 §14.5): HMAC-SHA1 with the length as if it came last."""
    at = read.integrity_at
    covered = at - HEADER_BYTES + _ATTR.size + INTEGRITY_BYTES
    expected = hmac.digest(
        password, message[:2] + struct.pack("!H", covered) + message[4:at], "sha1"
    )
    value_at = at + _ATTR.size
    return hmac.compare_digest(expected, message[value_at : value_at + INTEGRITY_BYTES])


def build_binding_response(transaction_id: bytes, source: Address, password: bytes) -> bytes:
    """Write the success response that tells `source` its address, signed with `password`."""
    mapped = _pack_xor_address(transaction_id, source)
    body = _ATTR.pack(ATTR_XOR_MAPPED_ADDRESS, len(mapped)) + mapped
    return _sign(BINDING_SUCCESS, transaction_id, body, password)


def build_binding_request(
    transaction_id: bytes, username: str, tie_breaker: bytes, password: bytes
) -> bytes:
    """Write a check of a controlled agent, which nominates nothing (RFC 8445 §7.1)."""
    name = username.encode()
    padding = bytes(-len(name) % 4)
    body = _ATTR.pack(ATTR_USERNAME, len(name)) + name + padding
    body += struct.pack("!HHI", ATTR_PRIORITY, 4, PEER_REFLEXIVE_PRIORITY)
    body += _ATTR.pack(ATTR_ICE_CONTROLLED, TIE_BREAKER_BYTES) + tie_breaker
    return _sign(BINDING_REQUEST, transaction_id, body, password)


def _sign(kind: int, transaction_id: bytes, body: bytes, password: bytes) -> bytes:
    """Close a message with MESSAGE-INTEGRITY and FINGERPRINT."""
    integrity_bytes = _ATTR.size + INTEGRITY_BYTES
    header = _HEADER.pack(kind, len(body) + integrity_bytes, MAGIC_COOKIE, transaction_id)
    digest = hmac.digest(password, header + body, "sha1")
    body += _ATTR.pack(ATTR_MESSAGE_INTEGRITY, INTEGRITY_BYTES) + digest
    header = _HEADER.pack(kind, len(body) + 8, MAGIC_COOKIE, transaction_id)
    crc = zlib.crc32(header + body) ^ FINGERPRINT_XOR
    return header + body + struct.pack("!HHI", ATTR_FINGERPRINT, 4, crc)


def _read_signed(message: bytes, expected: int) -> dict[int, int] | None:
    """Return where a message's attributes begin, if it is of the kind and has an integrity."""
    if not HEADER_BYTES <= len(message) <= MESSAGE_BYTES_MAX:
        return None
    kind, length, cookie, _ = _HEADER.unpack_from(message)
    if kind != expected or cookie != MAGIC_COOKIE:
        return None
    if length % 4 or HEADER_BYTES + length != len(message):
        return None
    found = _read_attributes(message)
    if found is None:
        return None
    integrity = _get_value(message, found.get(ATTR_MESSAGE_INTEGRITY))
    return found if integrity is not None and len(integrity) == INTEGRITY_BYTES else None


def _get_transaction_id(message: bytes) -> bytes:
    return message[HEADER_BYTES - TRANSACTION_ID_BYTES : HEADER_BYTES]


def _read_attributes(message: bytes) -> dict[int, int] | None:
    """Return where each attribute begins; None when a length or the fingerprint is wrong.

    What follows MESSAGE-INTEGRITY, but for FINGERPRINT, is not covered, so it is not read
    (RFC 8489 §14.5). Of an attribute given twice the first counts (§14).
    """
    found: dict[int, int] = {}
    pos = HEADER_BYTES
    while pos + _ATTR.size <= len(message):
        attr, size = _ATTR.unpack_from(message, pos)
        end = pos + _ATTR.size + size
        if end > len(message):
            return None
        if attr == ATTR_FINGERPRINT and not _is_fingerprint_valid(message, pos):
            return None
        if ATTR_MESSAGE_INTEGRITY not in found:
            found.setdefault(attr, pos)
        pos = (end + 3) & ~3
    return found


def _get_value(message: bytes, at: int | None) -> bytes | None:
    """Return the value of the attribute that begins at `at`."""
    if at is None:
        return None
    _, size = _ATTR.unpack_from(message, at)
    return message[at + _ATTR.size : at + _ATTR.size + size]


def _is_fingerprint_valid(message: bytes, at: int) -> bool:
    _, size = _ATTR.unpack_from(message, at)
    if size != 4 or at + 8 != len(message):
        return False
    (found,) = struct.unpack_from("!I", message, at + _ATTR.size)
    return bool(found == zlib.crc32(message[:at]) ^ FINGERPRINT_XOR)


def _pack_xor_address(transaction_id: bytes, source: Address) -> bytes:
    """Write XOR-MAPPED-ADDRESS (RFC 8489 §14.2); IPv4 seen through an IPv6 socket is unmapped."""
    ip = ipaddress.ip_address(source[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    key = struct.pack("!I", MAGIC_COOKIE) + transaction_id
    masked = bytes(a ^ b for a, b in zip(ip.packed, key, strict=False))
    family = 1 if ip.version == 4 else 2
    return struct.pack("!BBH", 0, family, source[1] ^ (MAGIC_COOKIE >> 16)) + masked
