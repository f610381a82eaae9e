"""Who may follow what: asked at the source, for many at once, and again when it changes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from kit.clock import ManualClock
from kit.ids import make_id
from kit.settings import Settings
from serve_apps.edge.access_book import AccessBook
from serve_apps.edge.socket_words import ChannelKind, ChannelName
from storage.database import Database
from storage.follows import add_follow, remove_follow
from storage.lives import change_live, delete_live
from storage.objects import ObjectStore
from storage.posts import PostDraft, delete_post, insert_post
from storage.subscriptions import (
    NewSubscription,
    put_subscription,
    remove_due_subscriptions,
)
from storage.videos import change_video
from tests.actors.hosting.stage import run_host
from tests.serve_apps.edge.edge_stage import (
    Guest,
    Talker,
    connect,
    invite,
    run_edge,
    use_free_ports,
)
from tests.storage.live_rows import create_room_row
from tests.storage.logged_database import LoggedDatabase
from tests.storage.video_rows import create_ready_video

pytestmark = pytest.mark.db

CLIENTS = 200
LINES = 40
MISSED_AFTER = 10


def count_statements(words: str) -> int:
    return sum(words in statement for statement in LoggedDatabase.statements)


async def come_back(
    talker: Talker, guest: Guest | None, channel: str, since: tuple[str, int]
) -> list[int]:
    """Authenticate and resume; return the offsets that were replayed."""
    if guest is not None:
        assert (await talker.authenticate(guest))["type"] == "authenticated"
    assert (await talker.subscribe(channel, since))["recovered"] is True
    await talker.wait(lambda: len(talker.offsets(channel)) == LINES - MISSED_AFTER)
    return talker.offsets(channel)


async def test_two_hundred_come_back_to_an_edge_that_asks_the_database_a_few_times(
    settings: Settings, database: Database, objects: ObjectStore
) -> None:
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    guests = [await invite(database, settings, f"guest{n}") for n in range(CLIENTS // 2)]
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id)
    channel = f"room:{room_id}"
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(run_host(settings))
        first = await stack.enter_async_context(run_edge(settings, objects))
        writer = await stack.enter_async_context(connect(first))
        await writer.authenticate(ada)
        acks = [await writer.chat(room_id, f"n{n}") for n in range(LINES)]
        since = (acks[0]["epoch"], MISSED_AFTER)
        second = await stack.enter_async_context(run_edge(settings, objects, 1, LoggedDatabase))
        talkers = [await stack.enter_async_context(connect(second)) for _ in range(CLIENTS)]
        LoggedDatabase.statements.clear()
        started_s = time.monotonic()
        heard = await asyncio.gather(
            *(
                come_back(talker, guest, channel, since)
                for talker, guest in zip(talkers, [*guests, *[None] * 100], strict=True)
            )
        )
        looks = int(time.monotonic() - started_s) + 2  # the first, and one in each second begun
        assert heard == [list(range(MISSED_AFTER + 1, LINES + 1))] * CLIENTS
        assert count_statements("FROM lives WHERE id = ANY") <= looks
        assert count_statements("FROM users WHERE id = ANY") <= CLIENTS // 10
        assert count_statements("FROM placements") <= 1
        known = ("id = ANY", "placements", "access_changed_at")  # the last: each second's poll
        rest = {s for s in LoggedDatabase.statements if not any(word in s for word in known)}
        assert not any("room_messages" in statement or "users" in statement for statement in rest)


async def test_a_live_that_is_hidden_lets_go_of_who_may_not_see_it(
    settings: Settings, database: Database, objects: ObjectStore
) -> None:
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    bob = await invite(database, settings, "bob")
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id)
    channel = f"room:{room_id}"
    async with (
        run_host(settings),
        run_edge(settings, objects) as edge,
        connect(edge) as owner,
        connect(edge) as viewer,
        connect(edge) as stranger,
    ):
        await owner.authenticate(ada)
        await viewer.authenticate(bob)
        for talker in (owner, viewer, stranger):
            assert (await talker.subscribe(channel))["offset"] == 0
        await owner.chat(room_id, "before")
        for talker in (viewer, stranger):
            await talker.wait(lambda talker=talker: talker.offsets(channel) == [1])
        async with database.connection() as connection:
            await change_live(connection, room_id, title="Mine", visibility="private")
        for talker in (viewer, stranger):
            await talker.wait(lambda talker=talker: bool(talker.errors))
            refusal = talker.errors[0]
            assert (refusal["channel"], refusal["error"]) == (channel, "not_found")
        await owner.chat(room_id, "after")
        await owner.wait(lambda: owner.offsets(channel) == [1, 2])
        assert (await viewer.subscribe(channel))["error"] == "not_found"
        assert viewer.offsets(channel) == [1]
        assert stranger.offsets(channel) == [1]
        async with database.connection() as connection:
            await delete_live(connection, room_id)
        await owner.wait(lambda: bool(owner.errors))
        assert owner.errors[0]["error"] == "not_found"


async def test_a_post_or_video_that_is_hidden_or_deleted_lets_go_of_who_may_not_see_it(
    settings: Settings, database: Database, objects: ObjectStore
) -> None:
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    bob = await invite(database, settings, "bob")
    now = datetime.now(UTC)
    drafts = [PostDraft(make_id(), ada.user_id, "hi", "public", now) for _ in range(2)]
    async with database.connection() as connection:
        for draft in drafts:
            await insert_post(connection, draft)
        video_id = await create_ready_video(connection, ada.user_id)
    video = f"video:{video_id}"
    hidden, deleted = [f"post:{draft.id}" for draft in drafts]
    async with run_edge(settings, objects) as edge, connect(edge) as owner, connect(edge) as viewer:
        for talker, guest in ((owner, ada), (viewer, bob)):
            await talker.authenticate(guest)
            for channel in (hidden, deleted, video):
                assert await talker.subscribe(channel) == {"recovered": True}
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE posts SET visibility = 'private' WHERE id = $1", drafts[0].id
            )
        await viewer.wait(lambda: bool(viewer.errors))
        async with database.connection() as connection:
            await delete_post(connection, drafts[1].id, now)
        await viewer.wait(lambda: len(viewer.errors) == 2)
        await owner.wait(lambda: bool(owner.errors))
        async with database.connection() as connection:
            await change_video(
                connection, video_id, title=None, description=None, visibility="private"
            )
        await viewer.wait(lambda: len(viewer.errors) == 3)
        told = [[(e["channel"], e["error"]) for e in talker.errors] for talker in (viewer, owner)]
        assert told == [
            [(hidden, "not_found"), (deleted, "not_found"), (video, "not_found")],
            [(deleted, "not_found")],
        ]
        assert (await viewer.subscribe(hidden))["error"] == "not_found"
        assert await owner.subscribe(hidden) == {"recovered": True}


async def test_who_stops_following_lets_go_of_what_is_for_followers(
    settings: Settings, database: Database, objects: ObjectStore
) -> None:
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    bob = await invite(database, settings, "bob")
    now = datetime.now(UTC)
    drafts = [
        PostDraft(make_id(), ada.user_id, "hi", seen_by, now) for seen_by in ("followers", "public")
    ]
    async with database.connection() as connection:
        for draft in drafts:
            await insert_post(connection, draft)
        await add_follow(connection, bob.user_id, ada.user_id, now)
    hidden, open_to_all = [f"post:{draft.id}" for draft in drafts]
    async with run_edge(settings, objects) as edge, connect(edge) as viewer:
        await viewer.authenticate(bob)
        for channel in (hidden, open_to_all):
            assert await viewer.subscribe(channel) == {"recovered": True}
        async with database.connection() as connection:
            await remove_follow(connection, bob.user_id, ada.user_id)
        await viewer.wait(lambda: bool(viewer.errors))
        await viewer.ask(type="ping")
        assert [(e["channel"], e["error"]) for e in viewer.errors] == [(hidden, "not_found")]


async def test_whose_subscription_ends_lets_go_of_what_is_for_subscribers(
    settings: Settings, database: Database, objects: ObjectStore
) -> None:
    """Posts, videos and rooms; also when its time, not its owner, ends it."""
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    bob = await invite(database, settings, "bob")
    now = datetime.now(UTC)
    draft = PostDraft(make_id(), ada.user_id, "hi", "subscribers", now)
    gift = NewSubscription(
        make_id(), ada.user_id, bob.user_id, "gift", None, now - timedelta(hours=2)
    )
    async with database.connection() as connection:
        await insert_post(connection, draft)
        video_id = await create_ready_video(connection, ada.user_id, visibility="subscribers")
        room_id = await create_room_row(connection, ada.user_id, visibility="subscribers")
    closed = [f"post:{draft.id}", f"video:{video_id}", f"room:{room_id}"]
    async with (
        run_host(settings),
        run_edge(settings, objects) as edge,
        connect(edge) as viewer,
    ):
        await viewer.authenticate(bob)
        refused = [(await viewer.subscribe(channel))["error"] for channel in closed]
        assert refused == ["for_subscribers"] * 3
        async with database.connection() as connection:
            await put_subscription(connection, gift)
        for channel in closed:
            assert "error" not in await viewer.subscribe(channel)
        viewer.errors.clear()
        async with database.connection() as connection:
            over = replace(gift, until=now - timedelta(hours=1))
            await put_subscription(connection, over)
            await remove_due_subscriptions(connection, ada.user_id, bob.user_id)
        await viewer.wait(lambda: len(viewer.errors) == 3)
        told = {(error["channel"], error["error"]) for error in viewer.errors}
        assert told == {(channel, "for_subscribers") for channel in closed}


async def test_a_change_is_told_once_though_its_notice_is_lost(
    database: Database, clock: ManualClock
) -> None:
    async with database.connection() as connection:
        owner_id = await connection.fetchval(
            "INSERT INTO users (id, username, email, password_hash)"
            " VALUES (gen_random_uuid(), 'ada', 'ada@example.org', '') RETURNING id"
        )
        room_id = await create_room_row(connection, owner_id)
    book, told = AccessBook(database, clock), list[ChannelName]()
    channel = ChannelName(ChannelKind.ROOM, room_id)
    book.on_changed(told.append)
    await book.load()
    assert told == []
    async with database.connection() as connection:
        await change_live(connection, room_id, title="Same", visibility="public")
        await book.load()
        assert told == []
        await change_live(connection, room_id, title="Same", visibility="followers")
    await book.load()
    await book.load()
    assert told == [channel]
    assert book.get_version(channel) == 2
