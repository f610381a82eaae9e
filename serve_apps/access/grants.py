"""Ed25519-signed rights that travel in URLs: single-use tickets and playback grants.

The API signs them; an edge holds only the public half and verifies offline. A ticket admits one
request at one edge for seconds; a grant opens one resource's media for minutes. A pass opens
nothing by itself: the API reads it back, and asks again what its session may see. The kind is part
of what is signed, so that no text passes for another kind.
"""

from __future__ import annotations

import base64
import binascii
import enum
import functools
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kit.errors import NotAuthenticated, PermissionDenied, Unavailable
from kit.ids import make_id
from kit.setting_sections import AuthSettings

TEXT_CHARS_MAX = 2048
SIGNATURE_BYTES = 64
BOOK_ENTRIES_MAX = 100_000
GRANT_KIND = "playback"
DOWNLOAD_KIND = "download"
VIEWERS_REMEMBERED = 8_192
ENCODER = msgspec.msgpack.Encoder(uuid_format="bytes")
Body = TypeVar("Body", bound=msgspec.Struct)


class TicketInvalid(NotAuthenticated):
    """The ticket was not signed by this site for this use at this edge."""

    code, message = "ticket_invalid", "This address is not valid here; ask for a new one."


class TicketExpired(NotAuthenticated):
    """The ticket's seconds are over."""

    code, message = "ticket_expired", "This address has expired; ask for a new one."


class TicketUsed(NotAuthenticated):
    """The ticket was used before."""

    code, message = "ticket_used", "This address was used already; ask for a new one."


class TicketBookFull(Unavailable):
    """More unexpired tickets than the edge remembers; admitting one more could admit it twice."""

    code, message = "ticket_book_full", "Too many arrivals right now; try again soon."


class GrantInvalid(PermissionDenied):
    """The grant was not signed by this site."""

    code, message = "grant_invalid", "This playback address is not valid."


class GrantExpired(PermissionDenied):
    """The grant's minutes are over; the player renews it."""

    code, message = "grant_expired", "This playback address has expired; ask for a new one."


class TicketKind(enum.StrEnum):
    """What a ticket admits to."""

    WHIP = "whip"
    WHEP = "whep"
    SOCKET = "socket"
    PLAYBACK = "playback_redirect"


@dataclass(frozen=True)
class TicketOrder:
    """What a ticket shall admit: `resource` is the room or video, `edge` the edge's base URL."""

    kind: TicketKind
    resource: uuid.UUID
    edge: str
    subject: uuid.UUID | None = None
    claims: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ticket:
    """A verified ticket; `subject` is the person, None when anonymous."""

    kind: TicketKind
    resource: uuid.UUID
    edge: str
    subject: uuid.UUID | None
    jti: uuid.UUID
    expires_at_s: float
    claims: dict[str, Any]


@dataclass(frozen=True)
class Grant:
    """A verified right to fetch the media of one resource; `viewer` None: anonymous."""

    resource: uuid.UUID
    viewer: uuid.UUID | None
    session: uuid.UUID | None
    access_version: int
    expires_at_s: float
    viewer_version: int = 0
    """Of what the viewer may see; a later one means that they lost some right since."""


class DownloadPass(msgspec.Struct, frozen=True, array_like=True):
    """Who asks where a video's file is, by a link that carries no token; void with the session."""

    video: uuid.UUID
    viewer: uuid.UUID
    session: uuid.UUID
    expires_at_s: float


class _TicketBody(msgspec.Struct, array_like=True):
    resource: uuid.UUID
    edge: str
    subject: uuid.UUID | None
    jti: uuid.UUID
    expires_at_s: float
    claims: dict[str, Any]


class _GrantBody(msgspec.Struct, array_like=True):
    resource: uuid.UUID
    viewer: uuid.UUID | None
    session: uuid.UUID | None
    access_version: int
    expires_at_s: float
    viewer_version: int = 0


Lasting = TypeVar("Lasting", _GrantBody, DownloadPass)


class TicketBook:
    """Remembers used tickets until they expire: one per edge process, which owns it."""

    def __init__(self, entries_max: int = BOOK_ENTRIES_MAX) -> None:
        self._used: OrderedDict[uuid.UUID, float] = OrderedDict()
        self._entries_max = entries_max

    def check_first_use(self, ticket: Ticket, now: datetime) -> None:
        """Mark the ticket used; raises TicketUsed the second time, TicketBookFull when full."""
        moment_s = now.timestamp()
        while self._used and next(iter(self._used.values())) < moment_s:
            self._used.popitem(last=False)
        if ticket.jti in self._used:
            raise TicketUsed
        if len(self._used) >= self._entries_max:
            raise TicketBookFull(retry_after_s=1)
        self._used[ticket.jti] = ticket.expires_at_s


def issue_ticket(auth: AuthSettings, order: TicketOrder, now: datetime) -> str:
    """Sign a single-use ticket that lives `auth.ticket_ttl_s` seconds."""
    body = _TicketBody(
        order.resource,
        order.edge,
        order.subject,
        make_id(),
        now.timestamp() + auth.ticket_ttl_s,
        order.claims,
    )
    return _sign(auth.grant_private_key, f"ticket:{order.kind}", body)


def read_ticket(public_key: str, text: str, kind: TicketKind, edge: str, now: datetime) -> Ticket:
    """Verify a ticket of `kind` for the edge at URL `edge`; raises TicketInvalid, TicketExpired.

    The caller asks its TicketBook whether it is the first use.
    """
    body = _verify(public_key, f"ticket:{kind}", text, _TicketBody)
    if body is None or body.edge != edge:
        raise TicketInvalid
    if now.timestamp() > body.expires_at_s:
        raise TicketExpired
    return Ticket(
        kind, body.resource, body.edge, body.subject, body.jti, body.expires_at_s, body.claims
    )


def issue_grant(auth: AuthSettings, grant: Grant) -> str:
    """Sign a playback grant as one URL path segment; the caller sets its expiry (≤ grant_ttl_s)."""
    body = _GrantBody(
        grant.resource,
        grant.viewer,
        grant.session,
        grant.access_version,
        grant.expires_at_s,
        grant.viewer_version,
    )
    return _sign(auth.grant_private_key, GRANT_KIND, body)


def read_grant(public_key: str, text: str, now: datetime) -> Grant:
    """Verify a playback grant; raises GrantInvalid, GrantExpired."""
    body = _check_lasts(_verify(public_key, GRANT_KIND, text, _GrantBody), now)
    return Grant(
        body.resource,
        body.viewer,
        body.session,
        body.access_version,
        body.expires_at_s,
        body.viewer_version,
    )


def issue_pass(auth: AuthSettings, order: DownloadPass) -> str:
    """Sign a download pass; the caller sets its expiry (≤ download_ttl_s)."""
    return _sign(auth.grant_private_key, DOWNLOAD_KIND, order)


def read_pass(public_key: str, text: str, now: datetime) -> DownloadPass:
    """Verify a download pass; raises GrantInvalid, GrantExpired."""
    return _check_lasts(_verify(public_key, DOWNLOAD_KIND, text, DownloadPass), now)


@functools.lru_cache(maxsize=VIEWERS_REMEMBERED)
def find_viewer(public_key: str, text: str) -> uuid.UUID | None:
    """Return to whom a grant was issued, even when it has expired: to count them, not to let in."""
    body = _verify(public_key, GRANT_KIND, text, _GrantBody)
    return None if body is None else body.viewer


def make_key_pair() -> tuple[str, str]:
    """Make a fresh Ed25519 pair: (private, public), both hexadecimal, for the settings file."""
    private = Ed25519PrivateKey.generate()
    return private.private_bytes_raw().hex(), private.public_key().public_bytes_raw().hex()


def _sign(private_key: str, kind: str, body: msgspec.Struct) -> str:
    assert private_key, "auth.grant_private_key is made at first start"
    payload = ENCODER.encode(body)
    signature = _load_private(private_key).sign(_frame(kind, payload))
    return _encode(signature + payload)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _verify(public_key: str, kind: str, text: str, shape: type[Body]) -> Body | None:
    if len(text) > TEXT_CHARS_MAX:
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if _encode(raw) != text:
            return None  # one right has one spelling, so that caches and books cannot be fooled
        signature, payload = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        _load_public(public_key).verify(signature, _frame(kind, payload))
        return msgspec.msgpack.decode(payload, type=shape)
    except (ValueError, binascii.Error, InvalidSignature, msgspec.MsgspecError):
        return None


def _check_lasts(body: Lasting | None, now: datetime) -> Lasting:
    """Return what was verified; raises GrantInvalid, GrantExpired."""
    if body is None:
        raise GrantInvalid
    if now.timestamp() > body.expires_at_s:
        raise GrantExpired
    return body


def _frame(kind: str, payload: bytes) -> bytes:
    """What is signed: the product, the kind and the payload, so that kinds never mix."""
    return b"socialflow\x00" + kind.encode() + b"\x00" + payload


@functools.lru_cache(maxsize=4)
def _load_private(key: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key))


@functools.lru_cache(maxsize=4)
def _load_public(key: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
