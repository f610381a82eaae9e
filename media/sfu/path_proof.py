"""Return routability: asking an address whether it is the peer's, before anything is sent there,
and again while it is.

Pure values, used by `ice`. A peer can sign a check and forge where it comes from; an answer to a
request with numbers that were sent there and nowhere else it cannot (RFC 7675 §5.1).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from media.sfu.stun import (
    TRANSACTION_ID_BYTES,
    Address,
    BindingResponse,
    build_binding_request,
    is_integrity_valid,
)

PROOF_S = 3.0
"""How long one address may take; others wait meanwhile."""
TRIES_MAX = 3
TRY_PAUSE_S = 0.5
RENEW_S = 10.0
"""So old a proof is renewed. Full agents ask every 5 s (RFC 7675 §5.1), and give up no sooner."""
RENEW_PAUSE_S = 2.0
PROOF_LIFE_S = 30.0
"""So long an answer is good for (RFC 7675 §5.1)."""


@dataclass(slots=True)
class PathProof:
    """One request under way: repeated as it was (RFC 8489 §6.2.1), so a late answer counts."""

    address: Address
    transaction_id: bytes
    request: bytes
    password: bytes
    began_at_s: float
    tried_at_s: float
    tries: int = 1

    def is_over(self, now_s: float) -> bool:
        """Tell whether another address may be asked."""
        return now_s - self.began_at_s > PROOF_S

    def is_due(self, source: Address, now_s: float) -> bool:
        """Tell whether `source` may be sent the request again."""
        if source != self.address or self.tries >= TRIES_MAX:
            return False
        return now_s - self.tried_at_s >= TRY_PAUSE_S

    def is_renewal_due(self, now_s: float) -> bool:
        """Tell whether an address that was proven before may be sent the request again."""
        return now_s - self.tried_at_s >= RENEW_PAUSE_S

    def note_try(self, now_s: float) -> None:
        """Remember that the request was sent again."""
        self.tries, self.tried_at_s = self.tries + 1, now_s

    def is_answered_by(self, message: bytes, response: BindingResponse, source: Address) -> bool:
        """Tell whether a response comes from the asked address and is signed by the peer."""
        if source != self.address or response.transaction_id != self.transaction_id:
            return False
        return is_integrity_valid(message, response, self.password)


@dataclass(frozen=True, slots=True)
class Asking:
    """What requests to a peer are made of; `password` is the peer's, and signs its answers too."""

    username: str
    password: bytes
    tie_breaker: bytes


def begin_proof(asking: Asking, address: Address, now_s: float) -> PathProof:
    """Return a proof whose first request is to be sent now, with numbers nobody can guess."""
    number = secrets.token_bytes(TRANSACTION_ID_BYTES)
    request = build_binding_request(number, asking.username, asking.tie_breaker, asking.password)
    return PathProof(address, number, request, asking.password, now_s, now_s)
