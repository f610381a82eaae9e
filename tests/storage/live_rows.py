"""Rows that tests of lives, rooms and edges stand on."""

from __future__ import annotations

import uuid

from kit.ids import make_id
from storage.database import Connection
from storage.lives import LiveDraft, create_live


async def create_user_row(connection: Connection, username: str) -> uuid.UUID:
    """Write a person and return the id."""
    user_id = make_id()
    await connection.execute(
        "INSERT INTO users (id, username, email, password_hash, display_name) "
        "VALUES ($1, $2, $2 || '@example.org', '', initcap($2))",
        user_id,
        username,
    )
    return user_id


async def create_session_row(connection: Connection, user_id: uuid.UUID) -> uuid.UUID:
    """Write a session of the person and return its id."""
    session_id = make_id()
    await connection.execute(
        "INSERT INTO sessions (id, user_id, expires_at) VALUES ($1, $2, now() + interval '1 day')",
        session_id,
        user_id,
    )
    return session_id


def make_stream_key(room_id: uuid.UUID) -> str:
    """Return the key of a broadcast that was given no other."""
    return f"key-{room_id}"


async def create_room_row(
    connection: Connection,
    owner_id: uuid.UUID,
    *,
    visibility: str = "public",
    stream_key: str = "",
) -> uuid.UUID:
    """Write a broadcast and return its id."""
    room_id = make_id()
    await create_live(
        connection,
        LiveDraft(
            id=room_id,
            owner_id=owner_id,
            title="A test broadcast",
            visibility=visibility,
            stream_key=stream_key or make_stream_key(room_id),
            epoch=uuid.uuid4(),
        ),
    )
    return room_id
