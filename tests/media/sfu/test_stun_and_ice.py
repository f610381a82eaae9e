"""Connectivity checks: answered when signed by the right peer, silent otherwise."""

from __future__ import annotations

import pytest
from aioice import stun

from media.sfu.ice import ADDRESSES_MAX, STALE_PATH_S, IceAgent, IceAnswer, IceLite
from media.sfu.stun import parse_binding_request

pytestmark = pytest.mark.unit

HOME = ("192.0.2.7", 50000)
AWAY = ("198.51.100.9", 41000)
V6 = ("2001:db8::7", 50000)
MAPPED = ("::ffff:192.0.2.7", 50000)


@pytest.fixture
def ice() -> IceLite:
    return IceLite()


@pytest.fixture
def agent(ice: IceLite) -> IceAgent:
    return ice.add_agent("session-1", "theirs")


def check(agent: IceAgent, *, nominating: bool = False, **changes: str) -> stun.Message:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    user = changes.get("username", f"{agent.credentials.local_ufrag}:theirs")
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


def send(ice: IceLite, agent: IceAgent, source: Source, at_s: float = 0.0) -> IceAnswer | None:
    return ice.answer_check(bytes(check(agent)), source, at_s)


def nominate(ice: IceLite, agent: IceAgent, source: Source, at_s: float) -> IceAnswer | None:
    return ice.answer_check(bytes(check(agent, nominating=True)), source, at_s)


@pytest.mark.parametrize("source", [HOME, V6])
def test_a_signed_check_is_answered_with_the_sources_address(
    ice: IceLite, agent: IceAgent, source: Source
) -> None:
    request = check(agent)
    answer = ice.answer_check(bytes(request), source, 1.0)
    assert answer is not None
    assert answer.session_id == "session-1"
    response = stun.parse_message(answer.response)
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
    response = stun.parse_message(answer.response)
    assert response.attributes["XOR-MAPPED-ADDRESS"] == HOME


@pytest.mark.parametrize(
    "changes",
    [{"password": "wrong"}, {"username": "nobody:theirs"}, {"username": "theirs"}],
    ids=["wrong password", "unknown fragment", "no colon"],
)
def test_a_check_of_a_stranger_gets_no_answer(
    ice: IceLite, agent: IceAgent, changes: dict[str, str]
) -> None:
    assert ice.answer_check(bytes(check(agent, **changes)), HOME, 0.0) is None
    assert ice.find_session(HOME) is None


def test_a_check_with_another_peers_fragment_gets_no_answer(ice: IceLite, agent: IceAgent) -> None:
    message = check(agent, username=f"{agent.credentials.local_ufrag}:other")
    assert ice.answer_check(bytes(message), HOME, 0.0) is None


def test_every_truncation_and_every_flipped_byte_is_refused(ice: IceLite, agent: IceAgent) -> None:
    whole = bytes(check(agent))
    for size in range(len(whole)):
        assert ice.answer_check(whole[:size], HOME, 0.0) is None
    covered = len(whole) - 8  # The fingerprint is optional; its type may become another's.
    for at in (*range(covered), *range(len(whole) - 4, len(whole))):
        changed = bytearray(whole)
        changed[at] ^= 0x41
        assert ice.answer_check(bytes(changed), HOME, 0.0) is None
    assert ice.answer_check(whole, HOME, 0.0) is not None


def test_responses_and_indications_are_not_requests(agent: IceAgent) -> None:
    for kind in (stun.Class.RESPONSE, stun.Class.INDICATION, stun.Class.ERROR):
        message = stun.Message(stun.Method.BINDING, kind)
        message.attributes["USERNAME"] = f"{agent.credentials.local_ufrag}:theirs"
        message.add_message_integrity(agent.credentials.local_password.encode())
        assert parse_binding_request(bytes(message)) is None


def test_an_address_belongs_to_the_session_that_proved_it(ice: IceLite, agent: IceAgent) -> None:
    send(ice, agent, HOME)
    other = ice.add_agent("session-2", "theirs")
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


def test_nomination_moves_the_path_at_once(ice: IceLite, agent: IceAgent) -> None:
    send(ice, agent, HOME)
    answer = nominate(ice, agent, AWAY, 1.0)
    assert answer is not None
    assert answer.is_moved
    assert agent.address == AWAY


def test_a_rebound_address_is_followed_once_the_former_fell_silent(
    ice: IceLite, agent: IceAgent
) -> None:
    send(ice, agent, HOME, 0.0)
    send(ice, agent, AWAY, 1.0)
    assert agent.address == HOME
    send(ice, agent, AWAY, STALE_PATH_S + 0.5)
    assert agent.address == AWAY


def test_a_peer_cannot_claim_addresses_without_end(ice: IceLite, agent: IceAgent) -> None:
    for port in range(1000, 1000 + 3 * ADDRESSES_MAX):
        send(ice, agent, ("192.0.2.7", port), port / 1000)
    assert len(agent.checked_at_s) == ADDRESSES_MAX
    assert agent.address in agent.checked_at_s
    assert ice.find_session(("192.0.2.7", 1001)) is None


def test_after_a_restart_the_former_credentials_count_until_the_new_ones_are_used(
    ice: IceLite, agent: IceAgent
) -> None:
    nominate(ice, agent, HOME, 0.0)
    before = agent.credentials
    forgotten = ice.restart_agent(agent, "anew")
    restarted = ice.restart_agent(agent, "anew")
    assert agent.newest is restarted
    assert send(ice, agent, HOME, 1.0) is not None
    agent.credentials, agent.restarted = restarted, None
    message = check(agent, username=f"{restarted.local_ufrag}:anew", nominating=True)
    agent.credentials, agent.restarted = before, restarted
    answer = ice.answer_check(bytes(message), AWAY, 2.0)
    assert answer is not None
    assert answer.is_moved
    assert agent.credentials is restarted
    for former in (before, forgotten):
        agent.credentials = former
        assert send(ice, agent, HOME, 3.0) is None
        agent.credentials = restarted
    ice.remove_agent(agent)
    assert len(ice._by_ufrag) == 0
