"""ICE-lite (RFC 8445 §2.5): who is behind which address, and where each peer may be sent to.

`IceLite` answers binding requests for all sessions of one socket, and asks addresses that a
session would move to or stay at; `server` asks it which session an address belongs to. It opens
nothing and sends nothing: what is to be sent is returned (docs/decisions/0043-paths-are-proven.md).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from media.sfu.path_proof import Asking, PathProof, begin_proof
from media.sfu.stun import (
    TIE_BREAKER_BYTES,
    Address,
    build_binding_response,
    is_binding_response,
    is_integrity_valid,
    parse_binding_request,
    parse_binding_response,
)

ADDRESSES_MAX = 8
STALE_PATH_S = 5.0


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """What checks of one ICE session carry, and their answers are signed with, by either side."""

    remote_ufrag: str
    remote_password: str
    local_ufrag: str = field(default_factory=lambda: secrets.token_hex(4))
    local_password: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass(slots=True)
class IceAgent:
    """Our side of one session: credentials, the addresses heard from, the one we send to.

    `address` follows checks until it `is_bound`, when the handshake's first flight goes there;
    from then on it changes only to one that answered `proof`. So whoever finishes the handshake
    got our flights at `address`, and media goes to no other. `renewal` asks `address` itself, which
    answered last at `proven_at_s`. After a restart `restarted` holds until its first check: the
    former ones still count until then, so that media flows on (§9).
    """

    session_id: str
    credentials: IceCredentials
    restarted: IceCredentials | None = None
    address: Address | None = None
    is_bound: bool = False
    proof: PathProof | None = None
    renewal: PathProof | None = None
    proven_at_s: float = float("-inf")
    tie_breaker: bytes = field(default_factory=lambda: secrets.token_bytes(TIE_BREAKER_BYTES))
    consent_at_s: float = float("-inf")
    checked_at_s: dict[Address, float] = field(default_factory=dict)

    @property
    def newest(self) -> IceCredentials:
        """The credentials that were agreed on last."""
        return self.restarted or self.credentials

    def describe_asking(self) -> Asking:
        """Return what our requests to the peer are made of: its fragment first (§7.2.2)."""
        own = self.credentials
        username = f"{own.remote_ufrag}:{own.local_ufrag}"
        return Asking(username, own.remote_password.encode(), self.tie_breaker)


@dataclass(frozen=True, slots=True)
class IceOutcome:
    """A valid message: whose it is, what to send back, and whether our path changed."""

    session_id: str
    replies: tuple[bytes, ...]
    is_moved: bool


class IceLite:
    """Every agent behind one socket, found by user fragment, address or what was asked."""

    def __init__(self) -> None:
        self._by_ufrag: dict[str, IceAgent] = {}
        self._by_address: dict[Address, IceAgent] = {}
        self._asked: dict[bytes, IceAgent] = {}

    def add_agent(self, session_id: str, remote_ufrag: str, remote_password: str) -> IceAgent:
        """Create credentials for a session."""
        agent = IceAgent(session_id, IceCredentials(remote_ufrag, remote_password))
        self._by_ufrag[agent.credentials.local_ufrag] = agent
        return agent

    def restart_agent(
        self, agent: IceAgent, remote_ufrag: str, remote_password: str
    ) -> IceCredentials:
        """Create new credentials for a session; a restart that was not used yet is forgotten."""
        if agent.restarted is not None:
            del self._by_ufrag[agent.restarted.local_ufrag]
        agent.restarted = IceCredentials(remote_ufrag, remote_password)
        self._by_ufrag[agent.restarted.local_ufrag] = agent
        return agent.restarted

    def remove_agent(self, agent: IceAgent) -> None:
        """Forget a session; its addresses answer nothing from now on."""
        self._forget_proofs(agent)
        for credentials in (agent.credentials, agent.restarted):
            if credentials is not None:
                self._by_ufrag.pop(credentials.local_ufrag, None)
        for address in agent.checked_at_s:
            if self._by_address.get(address) is agent:
                del self._by_address[address]

    def find_session(self, address: Address) -> str | None:
        """Return the session that sent valid checks from `address`, if any."""
        agent = self._by_address.get(address)
        return None if agent is None else agent.session_id

    def renew(self, agent: IceAgent, now_s: float) -> list[bytes]:
        """Return what to ask the present path, unless it was asked just now.

        One request is repeated until it is answered, so that a late answer counts.
        """
        if agent.address is None:
            return []
        if agent.renewal is None:
            agent.renewal = begin_proof(agent.describe_asking(), agent.address, now_s)
            self._asked[agent.renewal.transaction_id] = agent
        elif not agent.renewal.is_renewal_due(now_s):
            return []
        agent.renewal.note_try(now_s)
        return [agent.renewal.request]

    def take(self, message: bytes, source: Address, now_s: float) -> IceOutcome | None:
        """Take one STUN message; None when it deserves nothing."""
        if is_binding_response(message):
            return self._take_response(message, source, now_s)
        return self._take_check(message, source, now_s)

    def _take_check(self, message: bytes, source: Address, now_s: float) -> IceOutcome | None:
        request = parse_binding_request(message)
        agent = None if request is None else self._by_ufrag.get(request.local_ufrag)
        if request is None or agent is None:
            return None
        is_restart = request.local_ufrag != agent.credentials.local_ufrag
        credentials = agent.newest if is_restart else agent.credentials
        password = credentials.local_password.encode()
        if request.remote_ufrag != credentials.remote_ufrag:
            return None
        if not is_integrity_valid(message, request, password):
            return None
        if is_restart:
            del self._by_ufrag[agent.credentials.local_ufrag]
            agent.credentials, agent.restarted = credentials, None
            self._forget_proofs(agent)
        replies = [build_binding_response(request.transaction_id, source, password)]
        before, is_held = agent.address, self._is_held_by_another(agent, source)
        if is_wanted(agent, source, now_s, is_nominating=request.is_nominating):
            if is_held or (agent.is_bound and source != agent.address):
                replies += self._ask(agent, source, now_s, bytes_max=len(message))
            if not agent.is_bound:
                agent.address = source
        self._note_address(agent, source, now_s, is_claimed=not is_held)
        return IceOutcome(agent.session_id, tuple(replies), is_moved=agent.address != before)

    def _take_response(self, message: bytes, source: Address, now_s: float) -> IceOutcome | None:
        """Send to an address from now on, or still: it answered what was sent there alone."""
        response = parse_binding_response(message)
        agent = None if response is None else self._asked.get(response.transaction_id)
        if response is None or agent is None:
            return None
        for proof in filter(None, (agent.proof, agent.renewal)):
            if proof.is_answered_by(message, response, source):
                break
        else:
            return None
        if is_move := proof is agent.proof:
            self._forget_proofs(agent)
        else:
            del self._asked[proof.transaction_id]
            agent.renewal = None
        before, agent.address, agent.proven_at_s = agent.address, source, now_s
        self._note_address(agent, source, now_s, is_claimed=is_move)
        return IceOutcome(agent.session_id, (), is_moved=source != before)

    def _ask(
        self, agent: IceAgent, source: Address, now_s: float, *, bytes_max: int
    ) -> list[bytes]:
        """Return the request to send to an unproven address, if one is due and small enough.

        It is never larger than the check it follows, which names as much as it does: whoever
        forges checks has sent to their source an answer and a request for each at most.
        """
        proof = agent.proof
        if proof is not None and not proof.is_over(now_s):
            if len(proof.request) > bytes_max or not proof.is_due(source, now_s):
                return []
            proof.note_try(now_s)
            return [proof.request]
        proof = begin_proof(agent.describe_asking(), source, now_s)
        if len(proof.request) > bytes_max:
            return []
        if agent.proof is not None:
            del self._asked[agent.proof.transaction_id]
        agent.proof = proof
        self._asked[proof.transaction_id] = agent
        return [proof.request]

    def _forget_proofs(self, agent: IceAgent) -> None:
        for proof in filter(None, (agent.proof, agent.renewal)):
            del self._asked[proof.transaction_id]
        agent.proof = agent.renewal = None

    def _is_held_by_another(self, agent: IceAgent, source: Address) -> bool:
        """Tell whether another session's path is `source`: a mere claim does not take it over."""
        owner = self._by_address.get(source)
        if owner is None or owner is agent:
            return False
        return owner.is_bound and owner.address == source

    def _note_address(
        self, agent: IceAgent, source: Address, now_s: float, *, is_claimed: bool
    ) -> None:
        """Remember that a peer was heard at `source`, which is consent only where we send to."""
        if source == agent.address:
            agent.consent_at_s = now_s
        agent.checked_at_s[source] = now_s
        if is_claimed:
            self._by_address[source] = agent
        if len(agent.checked_at_s) > ADDRESSES_MAX:
            spare = [a for a in agent.checked_at_s if a != agent.address]
            oldest = min(spare, key=lambda a: agent.checked_at_s[a])
            del agent.checked_at_s[oldest]
            if self._by_address.get(oldest) is agent:
                del self._by_address[oldest]


def is_wanted(agent: IceAgent, source: Address, now_s: float, *, is_nominating: bool) -> bool:
    """Tell whether `source` should be the path: nominated, or live once ours fell silent.

    A peer with several interfaces checks them all; following each check would make the path flap.
    A client whose NAT rebinds does not nominate again, hence the silence rule.
    """
    if agent.address is None or agent.address == source or is_nominating:
        return True
    return now_s - agent.checked_at_s[agent.address] > STALE_PATH_S
