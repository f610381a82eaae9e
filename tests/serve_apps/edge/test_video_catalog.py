"""What an edge keeps of ready videos: nothing is asked per segment, and changes reach players."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from kit.clock import ManualClock
from kit.settings import Settings
from media.vod.records import preview_key
from serve_apps.edge.access_book import AccessBook
from serve_apps.edge.video_catalog import REREAD_S, STALE_MAX_S, UNHEARD_MAX_S
from storage import videos
from storage.access_changes import CHANNEL
from storage.database import Connection, Database, PoolOptions
from storage.objects import ObjectStore
from storage.publications import Publication, schedule_video, withdraw_due_video
from storage.subtitles import Subtitles, put_subtitles, remove_subtitles
from tests.serve_apps.edge.playback_client import serve_playback
from tests.serve_apps.edge.playback_world import World, add_video
from tests.storage.gate import Gate
from tests.storage.logged_database import LoggedDatabase
from tests.storage.waiting import wait_until, wait_until_heard

pytestmark = pytest.mark.db

SEGMENT_S = 4.0
WAIT_S = 60.0


class HeldDatabase(LoggedDatabase):
    """A pool whose transactions, once `goes_on` is cleared, end but do not say so."""

    def __init__(self, dsn: str, options: PoolOptions) -> None:
        super().__init__(dsn, options)
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.running = self.held = 0

    @asynccontextmanager
    async def transaction(self, patience_s: float | None = None) -> AsyncIterator[Connection]:
        self.running += 1
        try:
            async with super().transaction(patience_s) as connection:
                yield connection
            self.held += 1
            await self.goes_on.wait()
            self.held -= 1
        finally:
            self.running -= 1


@dataclass
class Edge(World):
    """A world with a book of changes; its player reads by a pool of its own, through a gate."""

    book: AccessBook
    pool: HeldDatabase
    gate: Gate

    async def watch(self, path: str, span_s: float = SEGMENT_S) -> int:
        """Let time pass in which the book looks each second, then ask; return the status."""
        self.clock.advance(span_s)
        await self.book.load()
        async with asyncio.timeout(WAIT_S):
            return (await self.player.get(path)).status

    async def wait_for(self, path: str, status: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while (await self.player.get(path)).status != status:
                await asyncio.sleep(0.01)

    async def change(self, query: str, *values: object) -> None:
        async with self.database.connection() as connection:
            await connection.execute(query, *values)


@pytest.fixture
async def edge(
    settings: Settings,
    database: Database,
    database_dsn: str,
    objects: ObjectStore,
    clock: ManualClock,
) -> AsyncIterator[Edge]:
    gate = Gate(database_dsn)
    await gate.open()
    pool = HeldDatabase(gate.dsn, PoolOptions(size=2, wait_s=WAIT_S))
    await pool.open()
    book = AccessBook(database, clock)
    await book.load()
    async with serve_playback(settings, pool, objects, clock, book) as player:
        yield Edge(player, settings, database, objects, clock, book, pool, gate)
    await pool.close()
    await gate.shut()


@asynccontextmanager
async def follow(edge: Edge) -> AsyncIterator[None]:
    """Have the book hear notices, as at an edge."""
    following = asyncio.create_task(edge.book.run())
    try:
        await wait_until_heard(edge.database, CHANNEL)
        yield
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


async def delete(connection: Connection, video_id: uuid.UUID) -> None:
    assert await videos.delete_video(connection, video_id)


async def hide(connection: Connection, video_id: uuid.UUID) -> None:
    assert await videos.change_video(
        connection, video_id, title=None, description=None, visibility="private"
    )


async def schedule(connection: Connection, video_id: uuid.UUID) -> None:
    at = await connection.fetchval("SELECT now() + interval '1 hour'")
    assert await schedule_video(connection, video_id, Publication(at, "public"))


async def withdraw(connection: Connection, video_id: uuid.UUID) -> None:
    await connection.execute("UPDATE videos SET withdraw_at = now() WHERE id = $1", video_id)
    assert await withdraw_due_video(connection, video_id)


async def delete_owner(connection: Connection, video_id: uuid.UUID) -> None:
    await connection.execute(
        "UPDATE users SET deleted_at = now()"
        " WHERE id = (SELECT owner_id FROM videos WHERE id = $1)",
        video_id,
    )


async def speak(connection: Connection, video_id: uuid.UUID) -> None:
    french = Subtitles("fr", "Français", "uploaded", "fr-1.vtt")
    assert await put_subtitles(connection, video_id, french)


async def fall_silent(connection: Connection, video_id: uuid.UUID) -> None:
    assert await remove_subtitles(connection, video_id, "en")


CHANGES = (
    (delete, "320p/00001.m4s", 200, 410),
    (hide, "320p/00001.m4s", 200, 403),
    (schedule, "320p/00001.m4s", 200, 403),
    (withdraw, "320p/00001.m4s", 200, 403),
    (delete_owner, "320p/00001.m4s", 200, 410),
    (speak, "subtitles-fr.m3u8", 404, 200),
    (fall_silent, "subtitles-en.m3u8", 200, 404),
    (videos.set_preview, "preview.mp4", 404, 200),
)


async def test_a_ready_video_plays_on_without_a_statement_per_segment(edge: Edge) -> None:
    """Its row is read all the same with the first segment after 20 s, and nobody waits for that."""
    video_id = await add_video(edge, visibility="followers", length_s=100.0)
    way = f"{edge.grant(video_id)}/v/{video_id}/320p"
    assert await edge.watch(f"{way}/init.mp4", 0) == 200
    LoggedDatabase.statements.clear()
    read_at = []
    for number in range(25):
        assert await edge.watch(f"{way}/{number:05d}.m4s") == 200
        await wait_until(lambda: edge.pool.running == 0)
        if LoggedDatabase.statements:
            assert len(LoggedDatabase.statements) == 3, "a query and its transaction"
            LoggedDatabase.statements.clear()
            read_at.append(number)
    assert read_at == [5, 11, 17, 23]


async def test_a_change_reaches_players_as_it_is_told(edge: Edge) -> None:
    """No time passes: what was read would count, were nothing told."""
    async with follow(edge):
        for change, tail, before, after in CHANGES:
            video_id = await add_video(edge)
            await edge.objects.put(preview_key(str(video_id)), b"preview")
            path = f"/v/{video_id}/{tail}"
            assert (await edge.player.get(path)).status == before, change
            async with edge.database.transaction() as connection:
                await change(connection, video_id)
            await edge.wait_for(path, after)


async def test_a_change_whose_notice_is_lost_is_found_by_the_next_look(edge: Edge) -> None:
    for change, tail, before, after in CHANGES:
        video_id = await add_video(edge)
        await edge.objects.put(preview_key(str(video_id)), b"preview")
        path = f"/v/{video_id}/{tail}"
        assert await edge.watch(path) == before, change
        async with edge.database.transaction() as connection:
            await change(connection, video_id)
        assert await edge.watch(path, 0.5) == after, change


async def test_while_nobody_looks_for_changes_what_was_read_counts_for_a_second(edge: Edge) -> None:
    video_id = await add_video(edge)
    path = f"/v/{video_id}/320p/00001.m4s"
    assert await edge.watch(path) == 200
    assert await edge.watch(path) == 200
    async with edge.database.transaction() as connection:
        await delete(connection, video_id)
    edge.clock.advance(UNHEARD_MAX_S + 0.1)
    assert (await edge.player.get(path)).status == 410


async def test_a_change_that_is_told_while_the_row_is_read_is_read_again(edge: Edge) -> None:
    video_id = await add_video(edge)
    path = f"/v/{video_id}/320p/00001.m4s"
    edge.pool.goes_on.clear()
    asking = asyncio.create_task(edge.player.get(path))
    await wait_until(lambda: edge.pool.held == 1)
    async with edge.database.transaction() as connection:
        await delete(connection, video_id)
    await edge.book.load()
    edge.pool.goes_on.set()
    assert (await asking).status == 410


async def test_nobody_waits_while_what_is_kept_is_read_again(edge: Edge) -> None:
    """What no trigger tells is found thereby."""
    video_id = await add_video(edge)
    path = f"/v/{video_id}/thumbnail.jpg"
    assert await edge.watch(path) == 200
    edge.pool.goes_on.clear()
    await edge.change("ALTER TABLE videos DISABLE TRIGGER videos_playback")
    await edge.change("UPDATE videos SET thumbnail_key = NULL WHERE id = $1", video_id)
    assert await edge.watch(path, REREAD_S) == 200
    assert edge.pool.held == 0, "there was no need"
    assert await edge.watch(path) == 200
    await wait_until(lambda: edge.pool.held == 1)
    assert await edge.watch(path) == 200
    edge.pool.goes_on.set()
    await wait_until(lambda: edge.pool.held == 0)
    await edge.wait_for(path, 404)


async def test_who_comes_back_after_a_minute_waits_for_the_row(edge: Edge) -> None:
    """By then the book may have forgotten what changed."""
    video_id = await add_video(edge)
    path = f"/v/{video_id}/320p/00001.m4s"
    assert await edge.watch(path) == 200
    await edge.change("ALTER TABLE videos DISABLE TRIGGER videos_playback")
    async with edge.database.transaction() as connection:
        await delete(connection, video_id)
    assert await edge.watch(path, 61) == 410


async def test_of_a_video_in_the_making_more_plays_soon(edge: Edge) -> None:
    video_id = await add_video(edge, lacks="rest")
    path = f"/v/{video_id}/320p/00001.m4s"
    assert await edge.watch(path) == 404
    whole_id = await add_video(edge)
    await edge.change(
        "UPDATE video_chunks c SET state = 'done', result = o.result FROM video_chunks o"
        " WHERE c.video_id = $1 AND c.state <> 'done' AND o.video_id = $2 AND o.name = c.name",
        video_id,
        whole_id,
    )
    assert await edge.watch(path, 0.1) == 404
    assert await edge.watch(path, 0.15) == 200


async def test_memory_answers_for_a_minute_from_the_last_look_but_not_of_what_was_hidden(
    edge: Edge,
) -> None:
    kept_id, hidden_id = await add_video(edge), await add_video(edge)
    kept, hidden = [f"/v/{each}/320p/00001.m4s" for each in (kept_id, hidden_id)]
    for path in (kept, hidden):
        assert await edge.watch(path, 0) == 200
    assert await edge.watch(kept, REREAD_S - 1) == 200
    await edge.gate.shut()
    async with edge.database.transaction() as connection:
        await hide(connection, hidden_id)
    await edge.book.load()
    assert (await edge.player.get(hidden)).status == 503
    edge.clock.advance(STALE_MAX_S - 1)
    assert (await edge.player.get(kept)).status == 200
    edge.clock.advance(2)
    assert (await edge.player.get(kept)).status == 503
    await edge.gate.open()
    assert (await edge.player.get(kept)).status == 200
