"""Who a socket speaks for: an access token, or the ticket that `join` hands out for this edge.

A ticket spares a client from handing its access token to an edge: it counts once, here alone, for
seconds, and names a login whose revocation ends the socket. Used once per `authenticate`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from kit.clock import Clock
from kit.errors import NotAuthenticated
from kit.ids import parse_id
from kit.setting_sections import AuthSettings
from serve_apps.access.grants import TicketBook, TicketInvalid, TicketKind, read_ticket
from serve_apps.access.identity import Identity, Role
from serve_apps.access.tokens import SessionRevoked, TokenInvalid, read_access_token
from serve_apps.edge.batched_reads import BatchedReads
from serve_apps.edge.followers import Member
from storage.database import LOST_CONNECTION, Database, DatabaseBusy
from storage.users import UserRow, list_users

JWT_JOINT = "."
"""Parts of a JWT are joined by dots (RFC 7519, section 3); no ticket holds one."""

PEOPLE_FRESH_S = 10.0
"""Names and roles are kept so long, for many who come at once; a revoked login is told apart."""

NEITHER = "This is neither an access token of this site nor a ticket for this edge."


@dataclass(frozen=True)
class LoginPorts:
    """What logins are read with."""

    auth: AuthSettings
    clock: Clock
    edge_url: str
    tickets: TicketBook
    database: Database
    is_revoked: Callable[[uuid.UUID], bool]


@dataclass(frozen=True)
class Login:
    """The person and the session that a token names."""

    user_id: uuid.UUID
    session_id: uuid.UUID


class Logins:
    """Reads tokens for one edge; uses its small pool."""

    def __init__(self, ports: LoginPorts) -> None:
        self._ports = ports
        self._people = BatchedReads(self._read_people, ports.clock, PEOPLE_FRESH_S)

    async def authenticate(self, token: str) -> Member | None:
        """Return whom the token speaks for, None for a stranger's ticket, which counts once too.

        Raises NotAuthenticated's kinds, TicketBookFull or DatabaseBusy.
        """
        login = self._read(token)
        if login is None:
            return None
        self._check_standing(login)
        try:
            user = await self._people.get(login.user_id)
        except LOST_CONNECTION as error:
            raise DatabaseBusy(retry_after_s=1) from error
        if user is None:
            raise NotAuthenticated
        self._check_standing(login)
        identity = Identity(
            user.id, login.session_id, user.username, role=Role(user.role), plan=user.plan
        )
        return Member(identity, user.display_name or user.username)

    def _read(self, token: str) -> Login | None:
        now = self._ports.clock.now()
        if JWT_JOINT in token:
            identity = read_access_token(self._ports.auth, token, now)
            return Login(identity.user_id, identity.session_id)
        key, edge_url = self._ports.auth.grant_public_key, self._ports.edge_url
        try:
            ticket = read_ticket(key, token, TicketKind.SOCKET, edge_url, now)
        except TicketInvalid as error:
            raise TokenInvalid(NEITHER) from error
        self._ports.tickets.check_first_use(ticket, now)
        if ticket.subject is None:
            return None
        session_id = parse_id(str(ticket.claims.get("session", "")))
        if session_id is None:
            raise TokenInvalid(NEITHER)
        return Login(ticket.subject, session_id)

    async def _read_people(self, user_ids: list[uuid.UUID]) -> dict[uuid.UUID, UserRow]:
        async with self._ports.database.connection() as connection:
            return {user.id: user for user in await list_users(connection, user_ids)}

    def has_standing(self, member: Member) -> bool:
        """Whether the member's login has not ended."""
        return not self._ports.is_revoked(member.identity.session_id)

    def _check_standing(self, login: Login) -> None:
        if self._ports.is_revoked(login.session_id):
            raise SessionRevoked
