"""ICE-lite (RFC 8445 §2.5): who is behind which address, and when they last proved it.

`IceLite` answers binding requests for all sessions of one socket; `server` asks it which session
an address belongs to. It opens nothing and sends nothing: answers are returned.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from media.sfu.stun import (
    Address,
    build_binding_response,
    is_integrity_valid,
    parse_binding_request,
)

ADDRESSES_MAX = 8
STALE_PATH_S = 5.0


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """What checks of one ICE session carry: the peer's fragment, ours and our password."""

    remote_ufrag: str
    local_ufrag: str = field(default_factory=lambda: secrets.token_hex(4))
    local_password: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass(slots=True)
class IceAgent:
    """Our side of one session: credentials, the addresses proven so far, the one we send to.

    After a restart `restarted` holds until its first check: the former ones still count until
    then, so that media flows on (RFC 8445 §9).
    """

    session_id: str
    credentials: IceCredentials
    restarted: IceCredentials | None = None
    address: Address | None = None
    consent_at_s: float | None = None
    checked_at_s: dict[Address, float] = field(default_factory=dict)

    @property
    def newest(self) -> IceCredentials:
        """The credentials that were agreed on last."""
        return self.restarted or self.credentials


@dataclass(frozen=True, slots=True)
class IceAnswer:
    """A valid check: what to send back, to whom it belongs, and whether our path changed."""

    session_id: str
    response: bytes
    is_moved: bool


class IceLite:
    """Every agent behind one socket, found by user fragment or by proven address."""

    def __init__(self) -> None:
        self._by_ufrag: dict[str, IceAgent] = {}
        self._by_address: dict[Address, IceAgent] = {}

    def add_agent(self, session_id: str, remote_ufrag: str) -> IceAgent:
        """Create credentials for a session."""
        agent = IceAgent(session_id, IceCredentials(remote_ufrag))
        self._by_ufrag[agent.credentials.local_ufrag] = agent
        return agent

    def restart_agent(self, agent: IceAgent, remote_ufrag: str) -> IceCredentials:
        """Create new credentials for a session; a restart that was not used yet is forgotten."""
        if agent.restarted is not None:
            del self._by_ufrag[agent.restarted.local_ufrag]
        agent.restarted = IceCredentials(remote_ufrag)
        self._by_ufrag[agent.restarted.local_ufrag] = agent
        return agent.restarted

    def remove_agent(self, agent: IceAgent) -> None:
        """Forget a session; its addresses answer nothing from now on."""
        for credentials in (agent.credentials, agent.restarted):
            if credentials is not None:
                self._by_ufrag.pop(credentials.local_ufrag, None)
        for address in agent.checked_at_s:
            if self._by_address.get(address) is agent:
                del self._by_address[address]

    def find_session(self, address: Address) -> str | None:
        """Return the session that proved `address`, if any."""
        agent = self._by_address.get(address)
        return None if agent is None else agent.session_id

    def answer_check(self, message: bytes, source: Address, now_s: float) -> IceAnswer | None:
        """Check one binding request and record its consent; None when it deserves no answer."""
        request = parse_binding_request(message)
        if request is None:
            return None
        agent = self._by_ufrag.get(request.local_ufrag)
        if agent is None:
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
        before = agent.address
        self._record_check(agent, source, now_s, is_nominating=request.is_nominating)
        response = build_binding_response(request.transaction_id, source, password)
        return IceAnswer(agent.session_id, response, is_moved=agent.address != before)

    def _record_check(
        self, agent: IceAgent, source: Address, now_s: float, *, is_nominating: bool
    ) -> None:
        agent.consent_at_s = now_s
        agent.address = decide_address(agent, source, now_s, is_nominating=is_nominating)
        agent.checked_at_s[source] = now_s
        self._by_address[source] = agent
        if len(agent.checked_at_s) > ADDRESSES_MAX:
            spare = [a for a in agent.checked_at_s if a != agent.address]
            oldest = min(spare, key=lambda a: agent.checked_at_s[a])
            del agent.checked_at_s[oldest]
            if self._by_address.get(oldest) is agent:
                del self._by_address[oldest]


def decide_address(
    agent: IceAgent, source: Address, now_s: float, *, is_nominating: bool
) -> Address:
    """Return the address to send to: the nominated one, or a live one once ours fell silent.

    A peer with several interfaces checks them all; following each check would make the path flap.
    A client whose NAT rebinds does not nominate again, hence the silence rule.
    """
    if agent.address is None or is_nominating:
        return source
    if now_s - agent.checked_at_s[agent.address] > STALE_PATH_S:
        return source
    return agent.address
