"""Comments below posts, newest first."""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec

from storage.database import Connection, read_row, read_rows
from storage.posts import PostSlice

SELECT_COMMENT = """
    SELECT c.id, c.post_id, c.author_id, u.username AS author_username,
           u.display_name AS author_display_name, c.text, c.created_at
    FROM comments c JOIN users u ON u.id = c.author_id AND u.deleted_at IS NULL
"""


class CommentRow(msgspec.Struct, frozen=True):
    """A comment with its author's names."""

    id: uuid.UUID
    post_id: uuid.UUID
    author_id: uuid.UUID
    author_username: str
    author_display_name: str
    text: str
    created_at: datetime


class CommentDraft(msgspec.Struct, frozen=True):
    """A comment to be written."""

    id: uuid.UUID
    post_id: uuid.UUID
    author_id: uuid.UUID
    text: str
    created_at: datetime


async def insert_comment(connection: Connection, draft: CommentDraft) -> None:
    """Write a comment."""
    await connection.execute(
        "INSERT INTO comments (id, post_id, author_id, text, created_at)"
        " VALUES ($1, $2, $3, $4, $5)",
        draft.id,
        draft.post_id,
        draft.author_id,
        draft.text,
        draft.created_at,
    )


async def find_comment(connection: Connection, comment_id: uuid.UUID) -> CommentRow | None:
    """Return the comment, None when it is gone."""
    row = await connection.fetchrow(
        SELECT_COMMENT + " WHERE c.id = $1 AND c.deleted_at IS NULL", comment_id
    )
    return None if row is None else read_row(CommentRow, row)


async def list_comments(
    connection: Connection, post_id: uuid.UUID, part: PostSlice
) -> list[CommentRow]:
    """Return the post's comments, newest first."""
    rows = await connection.fetch(
        SELECT_COMMENT + " WHERE c.post_id = $1 AND c.deleted_at IS NULL"
        " AND ($2::timestamptz IS NULL OR (c.created_at, c.id) < ($2, $3::uuid))"
        " ORDER BY c.created_at DESC, c.id DESC LIMIT $4",
        post_id,
        part.created_before,
        part.id_before,
        part.limit,
    )
    return read_rows(CommentRow, rows)


async def delete_comment(connection: Connection, comment_id: uuid.UUID, now: datetime) -> bool:
    """Make the comment disappear; False when it was gone."""
    deleted = await connection.fetchval(
        "UPDATE comments SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL RETURNING true",
        comment_id,
        now,
    )
    return bool(deleted)
