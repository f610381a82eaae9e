"""Sessions and refresh tokens: what is remembered, and for how long."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from storage import sessions
from storage.database import Connection, Database
from storage.sessions import SessionRow
from storage.users import UserRow, insert_user

pytestmark = pytest.mark.db

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def add_user(connection: Connection) -> uuid.UUID:
    user_id = uuid.uuid4()
    user = UserRow(user_id, "ada", "ada@example.org", "Ada", "", "user", "free", NOW)
    assert await insert_user(connection, user, "hash")
    return user_id


async def add_session(connection: Connection, user_id: uuid.UUID, days: int) -> uuid.UUID:
    session_id, expires_at = uuid.uuid4(), NOW + timedelta(days=days)
    row = SessionRow(session_id, user_id, "a" * 900, NOW, NOW, expires_at, None)
    await sessions.add_session(connection, row)
    return session_id


async def test_a_spent_token_is_remembered_for_a_week(database: Database):
    async with database.transaction() as connection:
        session_id = await add_session(connection, await add_user(connection), days=90)
        for number in range(3):
            moment = NOW + timedelta(days=5 * number)
            token = bytes([number]) * 32
            await sessions.add_refresh_token(connection, token, session_id, moment)
            await sessions.spend_refresh_token(connection, token, moment)
        known = [await sessions.find_refresh_token(connection, bytes([n]) * 32) for n in range(3)]
    assert [token is not None for token in known] == [False, True, True]


async def test_sessions_that_ended_long_ago_are_forgotten(database: Database):
    async with database.transaction() as connection:
        user_id = await add_user(connection)
        ended = await add_session(connection, user_id, days=1)
        living = await add_session(connection, user_id, days=90)
        await sessions.forget_ended_sessions(connection, user_id, NOW + timedelta(days=32))
        assert await sessions.find_session(connection, ended) is None
        kept = await sessions.find_session(connection, living)
    assert kept is not None
    assert len(kept.user_agent) == sessions.USER_AGENT_CHARS_MAX


async def test_a_session_is_revoked_once_and_everyone_can_find_out(database: Database):
    async with database.transaction() as connection:
        user_id = await add_user(connection)
        session_id = await add_session(connection, user_id, days=90)
        assert await sessions.revoke_session(connection, session_id, why="test") == user_id
        assert await sessions.revoke_session(connection, session_id, why="test") is None
        assert await sessions.list_revoked_sessions(connection, 60) == {session_id}
        assert await sessions.list_revoked_sessions(connection, -60) == set()
        assert await sessions.list_sessions(connection, user_id, NOW) == []
