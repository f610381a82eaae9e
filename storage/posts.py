"""Posts with their author, counters and the viewer's like; which of them a list may show.

Every list reads one row more than nothing: pages are cut by (created_at, id), which no other post
shares, so a page never repeats or skips. A deleted post, or one of a deleted author, is gone.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from storage.database import Connection, read_row, read_rows
from storage.subscriptions import write_subscribes

# $1 is the viewer, NULL when anonymous.
SELECT_POST = """
    SELECT p.id, p.author_id, u.username AS author_username,
           u.display_name AS author_display_name, p.text, p.visibility, p.created_at,
           coalesce(c.likes, 0) AS likes, coalesce(c.comments, 0) AS comments,
           EXISTS (SELECT FROM likes l WHERE l.post_id = p.id AND l.user_id = $1) AS is_liked
    FROM posts p
    JOIN users u ON u.id = p.author_id AND u.deleted_at IS NULL
    LEFT JOIN post_counters c ON c.post_id = p.id
"""
SUBSCRIBES = write_subscribes("$1", "p.author_id")


class PostRow(msgspec.Struct, frozen=True):
    """A post as one viewer sees it."""

    id: uuid.UUID
    author_id: uuid.UUID
    author_username: str
    author_display_name: str
    text: str
    visibility: str
    created_at: datetime
    likes: int
    comments: int
    is_liked: bool


class PostDraft(msgspec.Struct, frozen=True):
    """A post to be written."""

    id: uuid.UUID
    author_id: uuid.UUID
    text: str
    visibility: str
    created_at: datetime
    video_ids: tuple[uuid.UUID, ...] = ()


class PostHead(msgspec.Struct, frozen=True):
    """What decides who sees a post."""

    id: uuid.UUID
    author_id: uuid.UUID
    visibility: str
    created_at: datetime
    access_version: int = 1


class PostVideo(msgspec.Struct, frozen=True):
    """A video shown in a post."""

    post_id: uuid.UUID
    id: uuid.UUID
    owner_id: uuid.UUID
    title: str
    status: str
    visibility: str
    access_version: int
    duration_ms: int | None
    has_thumbnail: bool
    is_playable: bool


@dataclass(frozen=True)
class PostSlice:
    """Which part of a list: at most `limit` posts older than (created_at, id), if given."""

    limit: int
    created_before: datetime | None = None
    id_before: uuid.UUID | None = None


async def insert_post(connection: Connection, draft: PostDraft) -> None:
    """Write a post and the videos it shows, in their order."""
    await connection.execute(
        "INSERT INTO posts (id, author_id, text, visibility, created_at)"
        " VALUES ($1, $2, $3, $4, $5)",
        draft.id,
        draft.author_id,
        draft.text,
        draft.visibility,
        draft.created_at,
    )
    if draft.video_ids:
        await connection.execute(
            "INSERT INTO post_videos (post_id, video_id, position)"
            " SELECT $1, id, position FROM unnest($2::uuid[]) WITH ORDINALITY AS v (id, position)",
            draft.id,
            list(draft.video_ids),
        )


async def delete_post(connection: Connection, post_id: uuid.UUID, now: datetime) -> bool:
    """Make the post disappear; False when it was gone."""
    deleted = await connection.fetchval(
        "UPDATE posts SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL RETURNING true",
        post_id,
        now,
    )
    return bool(deleted)


async def find_post_head(connection: Connection, post_id: uuid.UUID) -> PostHead | None:
    """Return who wrote the post and who may see it, None when it is gone."""
    row = await connection.fetchrow(
        "SELECT p.id, p.author_id, p.visibility, p.created_at, p.access_version FROM posts p"
        " JOIN users u ON u.id = p.author_id AND u.deleted_at IS NULL"
        " WHERE p.id = $1 AND p.deleted_at IS NULL",
        post_id,
    )
    return None if row is None else read_row(PostHead, row)


async def list_post_heads(connection: Connection, post_ids: Sequence[uuid.UUID]) -> list[PostHead]:
    """Return who wrote these posts and who may see them; those that are gone are left out."""
    rows = await connection.fetch(
        "SELECT p.id, p.author_id, p.visibility, p.created_at, p.access_version FROM posts p"
        " JOIN users u ON u.id = p.author_id AND u.deleted_at IS NULL"
        " WHERE p.id = ANY($1) AND p.deleted_at IS NULL",
        list(post_ids),
    )
    return read_rows(PostHead, rows)


async def find_post(
    connection: Connection, post_id: uuid.UUID, viewer_id: uuid.UUID | None
) -> PostRow | None:
    """Return the post; whether the viewer may see it is for the caller to decide."""
    row = await connection.fetchrow(
        SELECT_POST + " WHERE p.id = $2 AND p.deleted_at IS NULL", viewer_id, post_id
    )
    return None if row is None else read_row(PostRow, row)


async def list_explore(
    connection: Connection, viewer_id: uuid.UUID | None, part: PostSlice
) -> list[PostRow]:
    """Return public posts, newest first."""
    rows = await connection.fetch(
        SELECT_POST + " WHERE p.deleted_at IS NULL AND p.visibility = 'public'"
        " AND ($2::timestamptz IS NULL OR (p.created_at, p.id) < ($2, $3::uuid))"
        " ORDER BY p.created_at DESC, p.id DESC LIMIT $4",
        viewer_id,
        part.created_before,
        part.id_before,
        part.limit,
    )
    return read_rows(PostRow, rows)


async def list_home(connection: Connection, viewer_id: uuid.UUID, part: PostSlice) -> list[PostRow]:
    """Return the viewer's timeline, newest first, without what they may no longer see."""
    rows = await connection.fetch(
        SELECT_POST + " JOIN timelines t ON t.post_id = p.id AND t.user_id = $1"
        " WHERE p.deleted_at IS NULL"
        " AND (p.author_id = $1 OR EXISTS ("
        "   SELECT FROM follows f WHERE f.follower_id = $1 AND f.followee_id = p.author_id)"
        "   AND (p.visibility IN ('public', 'followers')"
        f"       OR p.visibility = 'subscribers' AND {SUBSCRIBES}))"
        " AND ($2::timestamptz IS NULL OR (t.created_at, t.post_id) < ($2, $3::uuid))"
        " ORDER BY t.created_at DESC, t.post_id DESC LIMIT $4",
        viewer_id,
        part.created_before,
        part.id_before,
        part.limit,
    )
    return read_rows(PostRow, rows)


async def list_author_posts(
    connection: Connection, viewer_id: uuid.UUID | None, author_id: uuid.UUID, part: PostSlice
) -> list[PostRow]:
    """Return what the viewer may see of an author, newest first."""
    rows = await connection.fetch(
        SELECT_POST + " WHERE p.author_id = $2 AND p.deleted_at IS NULL"
        " AND (p.visibility = 'public' OR p.author_id = $1 OR p.visibility = 'followers' AND EXISTS"
        "   (SELECT FROM follows f WHERE f.follower_id = $1 AND f.followee_id = p.author_id)"
        f" OR p.visibility = 'subscribers' AND {SUBSCRIBES})"
        " AND ($3::timestamptz IS NULL OR (p.created_at, p.id) < ($3, $4::uuid))"
        " ORDER BY p.created_at DESC, p.id DESC LIMIT $5",
        viewer_id,
        author_id,
        part.created_before,
        part.id_before,
        part.limit,
    )
    return read_rows(PostRow, rows)


async def list_post_videos(
    connection: Connection, post_ids: Sequence[uuid.UUID]
) -> list[PostVideo]:
    """Return the videos that the posts show, in each post's order."""
    if not post_ids:
        return []
    rows = await connection.fetch(
        "SELECT pv.post_id, v.id, v.owner_id, v.title, v.status, v.visibility, v.access_version,"
        " v.duration_ms, v.thumbnail_key IS NOT NULL AS has_thumbnail,"
        " v.playable_at IS NOT NULL AS is_playable"
        " FROM post_videos pv JOIN videos v ON v.id = pv.video_id AND v.deleted_at IS NULL"
        " WHERE pv.post_id = ANY($1) ORDER BY pv.post_id, pv.position",
        list(post_ids),
    )
    return read_rows(PostVideo, rows)


async def list_own_videos(
    connection: Connection, owner_id: uuid.UUID, video_ids: Sequence[uuid.UUID]
) -> set[uuid.UUID]:
    """Return which of the videos exist and belong to the person."""
    rows = await connection.fetch(
        "SELECT id FROM videos WHERE id = ANY($2) AND owner_id = $1 AND deleted_at IS NULL",
        owner_id,
        list(video_ids),
    )
    return {row["id"] for row in rows}
