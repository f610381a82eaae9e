"""Access tokens, tickets and grants: what is read back, what is refused, no kind for another."""

from __future__ import annotations

import dataclasses
import uuid

import jwt
import pytest

from kit.clock import ManualClock
from kit.setting_sections import AuthSettings
from serve_apps.access.grants import (
    DownloadPass,
    Grant,
    GrantExpired,
    GrantInvalid,
    TicketBook,
    TicketBookFull,
    TicketExpired,
    TicketInvalid,
    TicketKind,
    TicketOrder,
    TicketUsed,
    issue_grant,
    issue_pass,
    issue_ticket,
    make_key_pair,
    read_grant,
    read_pass,
    read_ticket,
)
from serve_apps.access.identity import Identity, Role
from serve_apps.access.tokens import (
    TokenExpired,
    TokenInvalid,
    issue_access_token,
    read_access_token,
)

pytestmark = pytest.mark.unit

EDGE = "http://localhost:8001"
ADA = Identity(uuid.uuid4(), uuid.uuid4(), "ada", Role.CREATOR, "pro")


@pytest.fixture(scope="module")
def auth() -> AuthSettings:
    private, public = make_key_pair()
    return AuthSettings(token_key="k" * 64, grant_private_key=private, grant_public_key=public)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def make_order(**changes: object) -> TicketOrder:
    order = TicketOrder(TicketKind.WHIP, uuid.uuid4(), EDGE, ADA.user_id, {"gen": 3})
    return dataclasses.replace(order, **changes)


def make_grant(clock: ManualClock, life_s: float = 600) -> Grant:
    return Grant(uuid.uuid4(), ADA.user_id, ADA.session_id, 2, clock.now().timestamp() + life_s)


def test_an_access_token_names_whom_it_was_issued_to(auth: AuthSettings, clock: ManualClock):
    token = issue_access_token(auth, ADA, clock.now())
    assert read_access_token(auth, token, clock.now()) == ADA


def test_an_access_token_ends_after_its_life_and_a_little_skew(
    auth: AuthSettings, clock: ManualClock
):
    token = issue_access_token(auth, ADA, clock.now())
    clock.advance(auth.access_ttl_s + 5)
    assert read_access_token(auth, token, clock.now()) == ADA
    clock.advance(1)
    with pytest.raises(TokenExpired):
        read_access_token(auth, token, clock.now())


def forge(auth: AuthSettings, clock: ManualClock, **changes: object) -> str:
    claims = {
        "typ": "access",
        "sub": str(ADA.user_id),
        "sid": str(ADA.session_id),
        "name": "ada",
        "role": "user",
        "plan": "free",
        "iat": int(clock.now().timestamp()),
        "exp": int(clock.now().timestamp()) + 900,
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, auth.token_key, algorithm="HS256")


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "refresh"},
        {"typ": None},
        {"sub": "ada"},
        {"sid": None},
        {"exp": None},
        {"exp": "soon"},
        {"role": "emperor"},
        {"role": None},
        {"name": None},
    ],
)
def test_a_token_signed_by_us_for_something_else_is_invalid(
    auth: AuthSettings, clock: ManualClock, changes: dict[str, object]
):
    with pytest.raises(TokenInvalid):
        read_access_token(auth, forge(auth, clock, **changes), clock.now())


def test_strange_texts_are_invalid(auth: AuthSettings, clock: ManualClock):
    token = issue_access_token(auth, ADA, clock.now())
    unsigned = jwt.encode({"sub": "x"}, None, algorithm="none")
    other = issue_access_token(dataclasses.replace(auth, token_key="o" * 64), ADA, clock.now())
    for text in ("", "a.b.c", token[:-2], token + "x" * 3000, unsigned, other, "é" * 10):
        with pytest.raises(TokenInvalid):
            read_access_token(auth, text, clock.now())


def test_a_ticket_carries_what_was_ordered(auth: AuthSettings, clock: ManualClock):
    order = make_order()
    text = issue_ticket(auth, order, clock.now())
    ticket = read_ticket(auth.grant_public_key, text, TicketKind.WHIP, EDGE, clock.now())
    assert (ticket.resource, ticket.subject, ticket.claims) == (
        order.resource,
        order.subject,
        {"gen": 3},
    )
    assert ticket.expires_at_s == clock.now().timestamp() + auth.ticket_ttl_s
    assert len(text) < 400


def test_a_ticket_counts_for_its_kind_at_its_edge_in_its_seconds(
    auth: AuthSettings, clock: ManualClock
):
    text = issue_ticket(auth, make_order(), clock.now())
    key = auth.grant_public_key
    with pytest.raises(TicketInvalid):
        read_ticket(key, text, TicketKind.WHEP, EDGE, clock.now())
    with pytest.raises(TicketInvalid):
        read_ticket(key, text, TicketKind.WHIP, "http://localhost:8011", clock.now())
    with pytest.raises(TicketInvalid):
        read_ticket(make_key_pair()[1], text, TicketKind.WHIP, EDGE, clock.now())
    clock.advance(auth.ticket_ttl_s + 1)
    with pytest.raises(TicketExpired):
        read_ticket(key, text, TicketKind.WHIP, EDGE, clock.now())


def test_every_changed_character_makes_a_ticket_invalid(auth: AuthSettings, clock: ManualClock):
    text = issue_ticket(auth, make_order(), clock.now())
    for place in range(len(text)):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        with pytest.raises(TicketInvalid):
            read_ticket(auth.grant_public_key, changed, TicketKind.WHIP, EDGE, clock.now())
    for spelled in (text + "=", text + "!", " " + text, text + "A" * 3000, "", "AAAA"):
        with pytest.raises(TicketInvalid):
            read_ticket(auth.grant_public_key, spelled, TicketKind.WHIP, EDGE, clock.now())


def test_a_book_admits_a_ticket_once_and_forgets_expired_ones(
    auth: AuthSettings, clock: ManualClock
):
    book = TicketBook(entries_max=2)

    def take() -> None:
        text = issue_ticket(auth, make_order(), clock.now())
        ticket = read_ticket(auth.grant_public_key, text, TicketKind.WHIP, EDGE, clock.now())
        book.check_first_use(ticket, clock.now())
        with pytest.raises(TicketUsed):
            book.check_first_use(ticket, clock.now())

    take()
    take()
    with pytest.raises(TicketBookFull):
        take()
    clock.advance(auth.ticket_ttl_s + 1)
    take()


def test_a_grant_opens_its_resource_until_it_expires(auth: AuthSettings, clock: ManualClock):
    grant = make_grant(clock)
    text = issue_grant(auth, grant)
    assert read_grant(auth.grant_public_key, text, clock.now()) == grant
    assert "/" not in text
    assert len(text) < 250
    clock.advance(601)
    with pytest.raises(GrantExpired):
        read_grant(auth.grant_public_key, text, clock.now())


def test_no_kind_passes_for_another(auth: AuthSettings, clock: ManualClock):
    key, now = auth.grant_public_key, clock.now()
    access = issue_access_token(auth, ADA, now)
    grant = issue_grant(auth, make_grant(clock))
    found = DownloadPass(uuid.uuid4(), ADA.user_id, ADA.session_id, now.timestamp() + 60)
    download = issue_pass(auth, found)
    assert read_pass(key, download, now) == found
    tickets = {kind: issue_ticket(auth, make_order(kind=kind), now) for kind in TicketKind}
    for kind in TicketKind:
        others = [text for other, text in tickets.items() if other is not kind]
        for text in [access, grant, download, *others]:
            with pytest.raises(TicketInvalid):
                read_ticket(key, text, kind, EDGE, now)
    for text in [access, download, *tickets.values()]:
        with pytest.raises(GrantInvalid):
            read_grant(key, text, now)
    for text in [access, grant, *tickets.values()]:
        with pytest.raises(GrantInvalid):
            read_pass(key, text, now)
    for text in [grant, download, *tickets.values()]:
        with pytest.raises(TokenInvalid):
            read_access_token(auth, text, now)
