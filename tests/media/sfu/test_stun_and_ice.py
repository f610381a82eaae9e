"""Connectivity checks: answered when signed by the right peer, silent otherwise."""

from __future__ import annotations

import pytest
from aioice import stun

from media.sfu.ice import ADDRESSES_MAX, STALE_PATH_S, IceAgent, IceLite, IceOutcome
from media.sfu.path_proof import PROOF_S, RENEW_PAUSE_S, TRIES_MAX
from media.sfu.stun import parse_binding_request

pytestmark = pytest.mark.unit

HOME = ("192.0.2.7", 50000)
AWAY = ("198.51.100.9", 41000)
V6 = ("2001:db8::7", 50000)
MAPPED = ("::ffff:192.0.2.7", 50000)
THEIR_PASSWORD = "p" * 22


@pytest.fixture
def ice() -> IceLite:
    return IceLite()


@pytest.fixture
def agent(ice: IceLite) -> IceAgent:
    return ice.add_agent("session-1", "theirs", THEIR_PASSWORD)


def check(agent: IceAgent, *, nominating: bool = False, **changes: str) -> stun.Message:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    names = (agent.credentials.local_ufrag, agent.credentials.remote_ufrag)
    user = changes.get("username", ":".join(names))
    message.attributes["USERNAME"] = user
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 7
    if nominating:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(
        changes.get("password", agent.credentials.local_password).encode()
    )
    return message


Source = tuple[str, int]


def send(ice: IceLite, agent: IceAgent, source: Source, at_s: float = 0.0) -> IceOutcome | None:
    return ice.take(bytes(check(agent)), source, at_s)


def nominate(ice: IceLite, agent: IceAgent, source: Source, at_s: float) -> IceOutcome | None:
    return ice.take(bytes(check(agent, nominating=True)), source, at_s)


def bind(ice: IceLite, agent: IceAgent) -> None:
    """Have a handshake begin at HOME."""
    send(ice, agent, HOME)
    agent.is_bound = True


def ask(ice: IceLite, agent: IceAgent, source: Source, at_s: float) -> bytes:
    """Return what a check that nominates `source` makes us ask there."""
    outcome = nominate(ice, agent, source, at_s)
    assert outcome is not None
    assert not outcome.is_moved
    _, request = outcome.replies
    return request


def claim_home(ice: IceLite) -> tuple[IceAgent, bytes]:
    """Have another session claim HOME; return it, and what it is asked there."""
    other = ice.add_agent("session-2", "theirs", THEIR_PASSWORD)
    outcome = send(ice, other, HOME, 1.0)
    assert outcome is not None
    return other, outcome.replies[1]


def respond(request: bytes, password: str = THEIR_PASSWORD) -> bytes:
    """Answer a request as the peer does."""
    asked = stun.parse_message(request)
    response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, asked.transaction_id)
    response.attributes["XOR-MAPPED-ADDRESS"] = ("203.0.113.1", 8002)
    response.add_message_integrity(password.encode())
    return bytes(response)


@pytest.mark.parametrize("source", [HOME, V6])
def test_a_signed_check_is_answered_with_the_sources_address(
    ice: IceLite, agent: IceAgent, source: Source
) -> None:
    request = check(agent)
    answer = ice.take(bytes(request), source, 1.0)
    assert answer is not None
    assert (answer.session_id, len(answer.replies)) == ("session-1", 1)
    response = stun.parse_message(answer.replies[0])
    assert response.check_message_integrity(agent.credentials.local_password.encode())
    assert response.transaction_id == request.transaction_id
    assert response.message_class is stun.Class.RESPONSE
    assert response.attributes["XOR-MAPPED-ADDRESS"] == source
    assert agent.consent_at_s == 1.0


def test_an_ipv4_peer_behind_an_ipv6_socket_is_told_its_ipv4_address(
    ice: IceLite, agent: IceAgent
) -> None:
    answer = send(ice, agent, MAPPED)
    assert answer is not None
    response = stun.parse_message(answer.replies[0])
    assert response.attributes["XOR-MAPPED-ADDRESS"] == HOME


@pytest.mark.parametrize(
    "changes",
    [{"password": "wrong"}, {"username": "nobody:theirs"}, {"username": "theirs"}],
    ids=["wrong password", "unknown fragment", "no colon"],
)
def test_a_check_of_a_stranger_gets_no_answer(
    ice: IceLite, agent: IceAgent, changes: dict[str, str]
) -> None:
    assert ice.take(bytes(check(agent, **changes)), HOME, 0.0) is None
    assert ice.find_session(HOME) is None


def test_a_check_with_another_peers_fragment_gets_no_answer(ice: IceLite, agent: IceAgent) -> None:
    message = check(agent, username=f"{agent.credentials.local_ufrag}:other")
    assert ice.take(bytes(message), HOME, 0.0) is None


def test_every_truncation_and_every_flipped_byte_is_refused(ice: IceLite, agent: IceAgent) -> None:
    whole = bytes(check(agent))
    for size in range(len(whole)):
        assert ice.take(whole[:size], HOME, 0.0) is None
    covered = len(whole) - 8  # The fingerprint is optional; its type may become another's.
    for at in (*range(covered), *range(len(whole) - 4, len(whole))):
        changed = bytearray(whole)
        changed[at] ^= 0x41
        assert ice.take(bytes(changed), HOME, 0.0) is None
    assert ice.take(whole, HOME, 0.0) is not None


def test_responses_and_indications_are_not_requests(agent: IceAgent) -> None:
    for kind in (stun.Class.RESPONSE, stun.Class.INDICATION, stun.Class.ERROR):
        message = stun.Message(stun.Method.BINDING, kind)
        message.attributes["USERNAME"] = f"{agent.credentials.local_ufrag}:theirs"
        message.add_message_integrity(agent.credentials.local_password.encode())
        assert parse_binding_request(bytes(message)) is None


def test_an_address_belongs_to_the_session_that_proved_it(ice: IceLite, agent: IceAgent) -> None:
    send(ice, agent, HOME)
    other = ice.add_agent("session-2", "theirs", THEIR_PASSWORD)
    send(ice, other, AWAY)
    assert (ice.find_session(HOME), ice.find_session(AWAY)) == ("session-1", "session-2")
    ice.remove_agent(agent)
    assert (ice.find_session(HOME), ice.find_session(AWAY)) == (None, "session-2")
    assert send(ice, agent, HOME) is None


def test_checks_from_a_second_interface_do_not_move_the_path(ice: IceLite, agent: IceAgent) -> None:
    send(ice, agent, HOME)
    answer = send(ice, agent, AWAY, 1.0)
    assert answer is not None
    assert not answer.is_moved
    assert agent.address == HOME


def test_before_the_handshake_a_nomination_moves_the_path(ice: IceLite, agent: IceAgent) -> None:
    send(ice, agent, HOME)
    answer = nominate(ice, agent, AWAY, 1.0)
    assert answer is not None
    assert (answer.is_moved, len(answer.replies), agent.address) == (True, 1, AWAY)


def test_once_bound_a_nominated_path_is_asked_and_followed_when_it_answers(
    ice: IceLite, agent: IceAgent
) -> None:
    bind(ice, agent)
    request = ask(ice, agent, AWAY, 1.0)
    asked = stun.parse_message(request)
    assert asked.attributes["USERNAME"] == f"theirs:{agent.credentials.local_ufrag}"
    assert asked.check_message_integrity(THEIR_PASSWORD.encode())
    assert {"PRIORITY", "ICE-CONTROLLED", "FINGERPRINT"} <= set(asked.attributes)
    assert not {"ICE-CONTROLLING", "USE-CANDIDATE"} & set(asked.attributes)
    assert len(request) <= len(bytes(check(agent, nominating=True)))
    assert (agent.address, agent.consent_at_s) == (HOME, 0.0)
    outcome = ice.take(respond(request), AWAY, 1.2)
    assert outcome == IceOutcome("session-1", (), is_moved=True)
    assert (agent.address, agent.consent_at_s) == (AWAY, 1.2)
    assert ice.find_session(AWAY) == "session-1"
    assert ice.take(respond(request), AWAY, 1.3) is None, "an answer counts once"


def test_an_answer_of_another_place_or_number_or_hand_moves_nothing(
    ice: IceLite, agent: IceAgent
) -> None:
    bind(ice, agent)
    request = ask(ice, agent, AWAY, 1.0)
    other = bytearray(request)
    other[19] ^= 1
    fresh = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, bytes(other[8:20]))
    whole = respond(request)
    covered = range(len(whole) - 8)  # The fingerprint is optional.
    flipped = [whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :] for at in covered]
    for response in (respond(bytes(fresh)), respond(request, "w" * 22), *flipped):
        assert ice.take(response, AWAY, 1.1) is None
    assert ice.take(whole, HOME, 1.1) is None
    assert agent.address == HOME
    assert ice.take(whole, AWAY, 1.2) is not None


def test_every_path_needs_an_answer_of_its_own(ice: IceLite, agent: IceAgent) -> None:
    bind(ice, agent)
    first = ask(ice, agent, AWAY, 1.0)
    ice.take(respond(first), AWAY, 1.1)
    back = ask(ice, agent, HOME, 2.0)
    assert back[8:20] != first[8:20]
    ice.take(respond(back), HOME, 2.1)
    assert agent.address == HOME


def test_an_unproven_path_is_asked_little_and_one_at_a_time(ice: IceLite, agent: IceAgent) -> None:
    bind(ice, agent)
    asked: dict[Source, list[bytes]] = {AWAY: [], V6: []}
    for step in range(290):
        for source, requests in asked.items():
            outcome = nominate(ice, agent, source, 1.0 + step / 100)
            assert outcome is not None
            requests += outcome.replies[1:]
    assert (len(asked[AWAY]), len(set(asked[AWAY])), asked[V6]) == (TRIES_MAX, 1, [])
    assert ask(ice, agent, V6, 1.1 + PROOF_S)
    assert len(ice._asked) == 1
    assert ice.take(respond(asked[AWAY][0]), AWAY, 1.2 + PROOF_S) is None, "its time is over"
    assert agent.address == HOME


def test_a_check_smaller_than_our_request_draws_none(ice: IceLite, agent: IceAgent) -> None:
    bind(ice, agent)
    message = check(agent, nominating=True)
    for name in ("PRIORITY", "ICE-CONTROLLING"):
        del message.attributes[name]
    message.add_message_integrity(agent.credentials.local_password.encode())
    outcome = ice.take(bytes(message), AWAY, 1.0)
    assert outcome is not None
    assert (len(outcome.replies), len(ice._asked)) == (1, 0)
    ask(ice, agent, AWAY, 1.1)
    outcome = ice.take(bytes(message), AWAY, 2.0)
    assert outcome is not None
    assert len(outcome.replies) == 1
    assert ask(ice, agent, AWAY, 2.1)


def test_checks_from_unproven_addresses_are_no_consent(ice: IceLite, agent: IceAgent) -> None:
    bind(ice, agent)
    for at_s in (1.0, 9.0):
        nominate(ice, agent, AWAY, at_s)
    assert agent.consent_at_s == 0.0
    send(ice, agent, HOME, 10.0)
    assert agent.consent_at_s == 10.0


def test_a_rebound_address_is_asked_once_the_former_fell_silent(
    ice: IceLite, agent: IceAgent
) -> None:
    bind(ice, agent)
    early = send(ice, agent, AWAY, 1.0)
    assert early is not None
    assert len(early.replies) == 1
    late = send(ice, agent, AWAY, STALE_PATH_S + 0.5)
    assert late is not None
    assert agent.address == HOME
    ice.take(respond(late.replies[1]), AWAY, STALE_PATH_S + 0.6)
    assert agent.address == AWAY


def test_a_claim_does_not_take_another_sessions_path_until_it_is_proven(
    ice: IceLite, agent: IceAgent
) -> None:
    bind(ice, agent)
    other, request = claim_home(ice)
    assert ice.find_session(HOME) == "session-1"
    ice.take(respond(request), HOME, 1.1)
    assert (ice.find_session(HOME), other.address) == ("session-2", HOME)


def test_the_path_is_asked_again_by_one_request_until_it_answers(
    ice: IceLite, agent: IceAgent
) -> None:
    bind(ice, agent)
    (request,) = ice.renew(agent, 10.0)
    assert ice.renew(agent, 10.0 + RENEW_PAUSE_S / 2) == []
    assert ice.renew(agent, 10.0 + RENEW_PAUSE_S) == [request]
    assert send(ice, agent, HOME, 13.0) is not None
    assert ice.take(respond(request), AWAY, 13.0) is None
    assert agent.proven_at_s < 0, "a check proves nothing, nor does an answer from elsewhere"
    outcome = ice.take(respond(request), HOME, 14.0)
    assert outcome == IceOutcome("session-1", (), is_moved=False)
    assert (agent.address, agent.proven_at_s, agent.consent_at_s) == (HOME, 14.0, 14.0)
    assert ice.take(respond(request), HOME, 15.0) is None, "an answer counts once"
    (following,) = ice.renew(agent, 24.0)
    assert following[8:20] != request[8:20]


def test_a_path_is_asked_again_while_another_is_asked_and_followed(
    ice: IceLite, agent: IceAgent
) -> None:
    bind(ice, agent)
    (again,) = ice.renew(agent, 10.0)
    moved = ask(ice, agent, AWAY, 10.0)
    assert ice.take(respond(again), HOME, 10.1) is not None
    (later,) = ice.renew(agent, 10.2)
    outcome = ice.take(respond(moved), AWAY, 10.3)
    assert outcome is not None
    assert (outcome.is_moved, agent.address, agent.proven_at_s) == (True, AWAY, 10.3)
    assert ice.take(respond(later), HOME, 10.4) is None, "the former path is of no interest"
    (there,) = ice.renew(agent, 20.3)
    ice.restart_agent(agent, "anew", THEIR_PASSWORD)
    assert ice.take(respond(there), AWAY, 20.4) is not None, "the restart was not used yet"
    ice.renew(agent, 30.0)
    ice.remove_agent(agent)
    assert len(ice._asked) == 0


def test_two_sessions_at_one_address_do_not_take_it_from_each_other_by_staying(
    ice: IceLite, agent: IceAgent
) -> None:
    bind(ice, agent)
    _other, request = claim_home(ice)
    ice.take(respond(request), HOME, 1.1)
    ice.take(respond(ice.renew(agent, 10.0)[0]), HOME, 10.1)
    assert agent.proven_at_s == 10.1
    assert ice.find_session(HOME) == "session-2"


def test_a_peer_cannot_claim_addresses_without_end(ice: IceLite, agent: IceAgent) -> None:
    for port in range(1000, 1000 + 3 * ADDRESSES_MAX):
        send(ice, agent, ("192.0.2.7", port), port / 1000)
    assert len(agent.checked_at_s) == ADDRESSES_MAX
    assert agent.address in agent.checked_at_s
    assert ice.find_session(("192.0.2.7", 1001)) is None


def test_after_a_restart_the_former_credentials_count_until_the_new_ones_are_used(
    ice: IceLite, agent: IceAgent
) -> None:
    bind(ice, agent)
    ask(ice, agent, V6, 0.5)
    before = agent.credentials
    forgotten = ice.restart_agent(agent, "anew", THEIR_PASSWORD)
    restarted = ice.restart_agent(agent, "anew", THEIR_PASSWORD)
    assert agent.newest is restarted
    assert send(ice, agent, HOME, 1.0) is not None
    agent.credentials, agent.restarted = restarted, None
    message = check(agent, username=f"{restarted.local_ufrag}:anew", nominating=True)
    agent.credentials, agent.restarted = before, restarted
    answer = ice.take(bytes(message), AWAY, 2.0)
    assert answer is not None
    assert agent.credentials is restarted
    assert agent.address == HOME
    ice.take(respond(answer.replies[1]), AWAY, 2.1)
    assert agent.address == AWAY
    for former in (before, forgotten):
        agent.credentials = former
        assert send(ice, agent, HOME, 3.0) is None
        agent.credentials = restarted
    ask(ice, agent, V6, 3.0)
    ice.remove_agent(agent)
    assert (len(ice._by_ufrag), len(ice._asked)) == (0, 0)
