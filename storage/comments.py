"""Comments below posts and videos, and the replies to them; their likes.

`likes` and `replies` on a comment's row are changed by the same statement or transaction that adds
or removes what they count, so they are never late.
"""

from __future__ import annotations

import enum
import uuid
from datetime import datetime

import msgspec

from storage.database import Connection, read_row, read_rows

# $1 is the viewer, NULL when anonymous.
SELECT_COMMENT = """
    SELECT c.id, c.post_id, c.video_id, c.parent_id, c.author_id, u.username AS author_username,
           u.display_name AS author_display_name, c.text, c.created_at, c.edited_at,
           c.pinned_at IS NOT NULL AS is_pinned, c.likes, c.replies,
           EXISTS (SELECT FROM comment_likes l
                    WHERE l.comment_id = c.id AND l.user_id = $1) AS is_liked
    FROM comments c JOIN users u ON u.id = c.author_id AND u.deleted_at IS NULL
"""


class CommentSort(enum.StrEnum):
    """In which order the comments of a place are read."""

    NEW = "new"
    TOP = "top"


class Place(msgspec.Struct, frozen=True):
    """What comments stand below: a post or a video."""

    kind: str
    """`post` or `video`, as the channel that tells of it is named."""
    id: uuid.UUID

    @property
    def post_id(self) -> uuid.UUID | None:
        """The post, if it is one."""
        return self.id if self.kind == "post" else None

    @property
    def video_id(self) -> uuid.UUID | None:
        """The video, if it is one."""
        return self.id if self.kind == "video" else None


class CommentRow(msgspec.Struct, frozen=True):
    """A comment with its author's names, as one viewer sees it."""

    id: uuid.UUID
    post_id: uuid.UUID | None
    video_id: uuid.UUID | None
    parent_id: uuid.UUID | None
    author_id: uuid.UUID
    author_username: str
    author_display_name: str
    text: str
    created_at: datetime
    edited_at: datetime | None
    is_pinned: bool
    likes: int
    replies: int
    is_liked: bool

    @property
    def place(self) -> Place:
        """What it stands below."""
        if self.post_id is not None:
            return Place("post", self.post_id)
        assert self.video_id is not None, "the table checks that it is one of both"
        return Place("video", self.video_id)


class CommentDraft(msgspec.Struct, frozen=True):
    """A comment to be written; `parent_id`: a reply."""

    id: uuid.UUID
    place: Place
    author_id: uuid.UUID
    text: str
    created_at: datetime
    parent_id: uuid.UUID | None = None


class CommentSlice(msgspec.Struct, frozen=True):
    """Which part of a list: up to `limit` behind the row with these marks, if given."""

    limit: int
    sort: CommentSort = CommentSort.NEW
    likes: int | None = None
    created_at: datetime | None = None
    id: uuid.UUID | None = None


async def insert_comment(connection: Connection, draft: CommentDraft) -> None:
    """Write a comment; a reply counts on its parent."""
    await connection.execute(
        "INSERT INTO comments (id, post_id, video_id, parent_id, author_id, text, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        draft.id,
        draft.place.post_id,
        draft.place.video_id,
        draft.parent_id,
        draft.author_id,
        draft.text,
        draft.created_at,
    )
    if draft.parent_id is not None:
        await connection.execute(
            "UPDATE comments SET replies = replies + 1 WHERE id = $1", draft.parent_id
        )


async def find_comment(
    connection: Connection, comment_id: uuid.UUID, viewer_id: uuid.UUID | None = None
) -> CommentRow | None:
    """Return the comment, None when it is gone."""
    row = await connection.fetchrow(
        SELECT_COMMENT + " WHERE c.id = $2 AND c.deleted_at IS NULL", viewer_id, comment_id
    )
    return None if row is None else read_row(CommentRow, row)


async def find_pinned(
    connection: Connection, viewer_id: uuid.UUID | None, place: Place
) -> CommentRow | None:
    """Return the comment that the owner put first, None when there is none."""
    row = await connection.fetchrow(
        SELECT_COMMENT + " WHERE coalesce(c.post_id, c.video_id) = $2"
        " AND c.pinned_at IS NOT NULL AND c.deleted_at IS NULL",
        viewer_id,
        place.id,
    )
    return None if row is None else read_row(CommentRow, row)


async def list_comments(
    connection: Connection, viewer_id: uuid.UUID | None, place: Place, part: CommentSlice
) -> list[CommentRow]:
    """Return the comments of a place that are no replies and not pinned."""
    is_top = part.sort is CommentSort.TOP
    order = (
        "c.likes DESC, c.created_at DESC, c.id DESC" if is_top else "c.created_at DESC, c.id DESC"
    )
    behind = (
        "(c.likes, c.created_at, c.id) < ($4::int, $5, $6::uuid)"
        if is_top
        else "$4::int IS NOT NULL AND (c.created_at, c.id) < ($5, $6::uuid)"
    )
    rows = await connection.fetch(
        SELECT_COMMENT + f" WHERE c.{place.kind}_id = $2 AND c.parent_id IS NULL"
        " AND c.deleted_at IS NULL AND c.pinned_at IS NULL"
        f" AND ($5::timestamptz IS NULL OR {behind}) ORDER BY {order} LIMIT $3",
        viewer_id,
        place.id,
        part.limit,
        part.likes,
        part.created_at,
        part.id,
    )
    return read_rows(CommentRow, rows)


async def list_replies(
    connection: Connection, viewer_id: uuid.UUID | None, parent_id: uuid.UUID, part: CommentSlice
) -> list[CommentRow]:
    """Return the replies to a comment, oldest first."""
    rows = await connection.fetch(
        SELECT_COMMENT + " WHERE c.parent_id = $2 AND c.deleted_at IS NULL"
        " AND ($4::timestamptz IS NULL OR (c.created_at, c.id) > ($4, $5::uuid))"
        " ORDER BY c.created_at, c.id LIMIT $3",
        viewer_id,
        parent_id,
        part.limit,
        part.created_at,
        part.id,
    )
    return read_rows(CommentRow, rows)


async def change_comment(
    connection: Connection, comment_id: uuid.UUID, text: str, now: datetime
) -> None:
    """Put another text in place of a comment's."""
    await connection.execute(
        "UPDATE comments SET text = $2, edited_at = $3 WHERE id = $1 AND deleted_at IS NULL",
        comment_id,
        text,
        now,
    )


async def delete_comment(connection: Connection, comment_id: uuid.UUID, now: datetime) -> bool:
    """Make the comment and the replies to it disappear; False when it was gone."""
    row = await connection.fetchrow(
        "UPDATE comments SET deleted_at = $2, pinned_at = NULL"
        " WHERE id = $1 AND deleted_at IS NULL RETURNING parent_id",
        comment_id,
        now,
    )
    if row is None:
        return False
    if row["parent_id"] is None:
        await connection.execute(
            "UPDATE comments SET deleted_at = $2 WHERE parent_id = $1 AND deleted_at IS NULL",
            comment_id,
            now,
        )
    else:
        await connection.execute(
            "UPDATE comments SET replies = greatest(replies - 1, 0) WHERE id = $1",
            row["parent_id"],
        )
    return True


async def set_pin(
    connection: Connection, comment: CommentRow, now: datetime, *, is_pinned: bool
) -> None:
    """Put a comment first, in place of any other, or back among the others."""
    if is_pinned:
        await connection.execute(
            "UPDATE comments SET pinned_at = NULL"
            " WHERE coalesce(post_id, video_id) = $1 AND pinned_at IS NOT NULL AND id <> $2",
            comment.place.id,
            comment.id,
        )
    await connection.execute(
        "UPDATE comments SET pinned_at = CASE WHEN $3 THEN coalesce(pinned_at, $2) END"
        " WHERE id = $1",
        comment.id,
        now,
        is_pinned,
    )


async def add_like(
    connection: Connection, comment_id: uuid.UUID, user_id: uuid.UUID, now: datetime
) -> bool:
    """Like a comment; False when it was liked already."""
    added = await connection.fetchval(
        "INSERT INTO comment_likes (comment_id, user_id, created_at) VALUES ($1, $2, $3)"
        " ON CONFLICT DO NOTHING RETURNING true",
        comment_id,
        user_id,
        now,
    )
    if added:
        await connection.execute("UPDATE comments SET likes = likes + 1 WHERE id = $1", comment_id)
    return bool(added)


async def remove_like(connection: Connection, comment_id: uuid.UUID, user_id: uuid.UUID) -> bool:
    """Take a like back; False when there was none."""
    removed = await connection.fetchval(
        "DELETE FROM comment_likes WHERE comment_id = $1 AND user_id = $2 RETURNING true",
        comment_id,
        user_id,
    )
    if removed:
        await connection.execute(
            "UPDATE comments SET likes = greatest(likes - 1, 0) WHERE id = $1", comment_id
        )
    return bool(removed)
