"""A chat's rules end to end: sockets, an edge, a host, rows; and another host after a kill."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actors.live_room.entries import Speaker
from actors.live_room.kind import load_chat, make_room_kind
from actors.live_room.messages import (
    Announce,
    HeldDecide,
    MemberAct,
    MemberChange,
    RaidStart,
    RulesChange,
)
from actors.live_room.review import Question, Verdict
from kit.ids import make_id
from kit.settings import Settings
from serve_apps.edge.server import EdgeServer
from storage.database import Database
from storage.objects import ObjectStore
from storage.posts import PostDraft, insert_post
from storage.subscriptions import NewSubscription, end_subscription, put_subscription
from tests.actors.hosting.stage import run_child_host, run_client, run_host, write_settings
from tests.serve_apps.edge.edge_stage import (
    Guest,
    Talker,
    connect,
    invite,
    run_edge,
    use_free_ports,
)
from tests.storage.live_rows import create_room_row

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Stage:
    """Ada's room; Bob, who visits; Cyd, who watches."""

    settings: Settings
    ada: Guest
    bob: Guest
    cyd: Guest
    room_id: uuid.UUID

    @property
    def channel(self) -> str:
        return f"room:{self.room_id}"

    @property
    def owner(self) -> Speaker:
        return Speaker(self.ada.user_id, "ada", "Ada")

    async def command(self, command: Any) -> None:
        """Act as the API does: over a link of its own."""
        async with run_client(self.settings, name="api-1", role="api") as client:
            await client.moderate(self.room_id, command)


@pytest.fixture
async def stage(settings: Settings, database: Database) -> Stage:
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    bob = await invite(database, settings, "bob")
    cyd = await invite(database, settings, "cyd")
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id)
    return Stage(settings, ada, bob, cyd, room_id)


@pytest.fixture
async def edge(stage: Stage, objects: ObjectStore) -> AsyncIterator[EdgeServer]:
    async with run_host(stage.settings), run_edge(stage.settings, objects) as lent:
        yield lent


@contextlib.asynccontextmanager
async def visit(edge: EdgeServer, stage: Stage, guest: Guest | None) -> AsyncIterator[Talker]:
    """Connect, authenticate and follow the room."""
    async with connect(edge) as talker:
        if guest is not None:
            await talker.authenticate(guest)
        await talker.subscribe(stage.channel)
        yield talker


async def refuse(talker: Talker, stage: Stage, client_id: str, text: str = "x") -> dict[str, Any]:
    """Write a line that is refused; returns the refusal."""
    count = len(talker.errors)
    room = str(stage.room_id)
    await talker.say(type="chat_send", room=room, client_id=client_id, text=text)
    await talker.wait(lambda: len(talker.errors) > count)
    assert talker.errors[-1]["client_id"] == client_id
    return talker.errors[-1]


def told(talker: Talker, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in talker.events if event["type"] == kind]


async def act(talker: Talker, stage: Stage, act: str, **what: Any) -> dict[str, Any]:
    """Act as a moderator over the socket; returns the answer."""
    return await talker.ask(
        type="moderate", room=str(stage.room_id), client_id=f"m-{act}", act=act, **what
    )


async def test_a_deleted_line_disappears_for_everybody_and_for_whoever_comes_later(
    edge: EdgeServer, stage: Stage
) -> None:
    async with visit(edge, stage, stage.ada) as ada, visit(edge, stage, stage.bob) as bob:
        start = await bob.chat(stage.room_id, "first")
        ack = await bob.chat(stage.room_id, "c", "oh no")
        answer = await act(ada, stage, "delete", message_id=ack["message_id"])
        assert answer == {"type": "done", "client_id": "m-delete"}
        await bob.wait(lambda: told(bob, "message_deleted"))
        event = told(bob, "message_deleted")[0]
        assert (event["message_id"], event["offset"]) == (ack["message_id"], ack["offset"])
        async with connect(edge) as late:
            await late.subscribe(stage.channel, since=(start["epoch"], start["offset"]))
            await late.wait(lambda: told(late, "message_deleted"))
            assert late.offsets(stage.channel) == [2, 3]
            assert late.lines(stage.channel) == [""]
            assert told(late, "chat_message")[0]["deleted"] is True


async def test_a_guest_deletes_their_own_line_alone(edge: EdgeServer, stage: Stage) -> None:
    async with visit(edge, stage, stage.bob) as bob, visit(edge, stage, stage.cyd) as cyd:
        ack = await bob.chat(stage.room_id, "c")
        answer = await act(cyd, stage, "delete", message_id=ack["message_id"])
        assert answer["error"] == "room_rank_too_low"
        assert (await act(bob, stage, "delete", message_id=ack["message_id"]))["type"] == "done"
        answer = await act(bob, stage, "delete", message_id=str(uuid.uuid4()))
        assert answer["error"] == "line_not_found"


async def test_a_banned_persons_line_is_refused_and_their_sockets_are_told(
    edge: EdgeServer, stage: Stage
) -> None:
    async with (
        visit(edge, stage, stage.ada) as ada,
        visit(edge, stage, stage.bob) as bob,
        visit(edge, stage, stage.bob) as other,
    ):
        bob_id = str(stage.bob.user_id)
        assert (await act(ada, stage, "ban", user_id=bob_id, reason="spam"))["type"] == "done"
        for socket in (bob, other):
            await socket.wait(lambda socket=socket: told(socket, "member_changed"))
            event = told(socket, "member_changed")[0]
            assert (event["user"]["id"], event["is_banned"]) == (bob_id, True)
            assert (await refuse(socket, stage, "late"))["error"] == "room_banned"
        assert bob.lines(stage.channel) == []
        await act(ada, stage, "pardon", user_id=bob_id)
        await bob.chat(stage.room_id, "back")


async def test_slow_mode_refuses_the_second_line_within_the_window(
    edge: EdgeServer, stage: Stage
) -> None:
    await stage.command(RulesChange(stage.owner, {"slow_mode_s": 60}))
    async with visit(edge, stage, stage.bob) as bob, visit(edge, stage, stage.cyd) as cyd:
        await bob.chat(stage.room_id, "one")
        error = await refuse(bob, stage, "two")
        assert (error["error"], error["retryable"]) == ("slow_mode", True)
        assert 1 <= error["retry_after_s"] <= 60
        await cyd.chat(stage.room_id, "mine")
        assert len(cyd.offsets(stage.channel)) == 2


async def test_followers_only_asks_storage_who_follows(
    edge: EdgeServer, stage: Stage, database: Database
) -> None:
    await stage.command(RulesChange(stage.owner, {"followers_only": True}))
    async with visit(edge, stage, stage.bob) as bob, visit(edge, stage, stage.ada) as ada:
        assert (await refuse(bob, stage, "a"))["error"] == "followers_only"
        await ada.chat(stage.room_id, "owner")
        async with database.connection() as connection:
            await connection.execute(
                "INSERT INTO follows (follower_id, followee_id) VALUES ($1, $2)",
                stage.bob.user_id,
                stage.ada.user_id,
            )
        await bob.chat(stage.room_id, "b")
        await stage.command(RulesChange(stage.owner, {"follow_age_min_s": 3600}))
        assert (await refuse(bob, stage, "c"))["error"] == "follow_too_fresh"


async def test_subscribers_only_asks_storage_who_subscribes(
    edge: EdgeServer, stage: Stage, database: Database
) -> None:
    await stage.command(RulesChange(stage.owner, {"subscribers_only": True}))
    gift = NewSubscription(make_id(), stage.ada.user_id, stage.bob.user_id, "gift", None)
    post = PostDraft(make_id(), stage.ada.user_id, "hi", "subscribers", datetime.now(UTC))
    async with database.connection() as connection:
        await insert_post(connection, post)
    async with visit(edge, stage, stage.bob) as bob, visit(edge, stage, stage.ada) as ada:
        assert (await refuse(bob, stage, "a"))["error"] == "subscribers_only"
        await ada.chat(stage.room_id, "owner")
        async with database.connection() as connection:
            await put_subscription(connection, gift)
        await bob.chat(stage.room_id, "b")
        assert "error" not in await bob.subscribe(f"post:{post.id}")
        async with database.connection() as connection:
            await end_subscription(connection, stage.ada.user_id, stage.bob.user_id, "gift")
        await bob.wait(lambda: bob.errors[-1]["error"] == "for_subscribers")  # the edge knows
        assert (await refuse(bob, stage, "c"))["error"] == "subscribers_only"


async def test_a_held_line_appears_for_nobody_until_approved_and_then_in_order(
    edge: EdgeServer, stage: Stage
) -> None:
    await stage.command(RulesChange(stage.owner, {"held_words": ["maybe"]}))
    async with visit(edge, stage, stage.bob) as bob, visit(edge, stage, stage.cyd) as cyd:
        ack = await bob.chat(stage.room_id, "h", "maybe not")
        assert ack["held"] is True
        assert "held" not in await bob.chat(stage.room_id, "after", "after")
        await cyd.wait(lambda: cyd.lines(stage.channel) == ["after"])
        assert told(cyd, "message_held")[0]["held_id"] == ack["message_id"]
        assert (await act(cyd, stage, "approve", held_id=ack["message_id"]))["type"] == "error"
        await stage.command(HeldDecide(stage.owner, uuid.UUID(ack["message_id"]), True))
        for viewer in (bob, cyd):
            await viewer.wait(lambda viewer=viewer: len(viewer.lines(stage.channel)) == 2)
            assert viewer.lines(stage.channel) == ["after", "maybe not"]
            offsets = viewer.offsets(stage.channel)
            assert offsets == sorted(set(offsets))
        approved = told(cyd, "chat_message")[-1]
        assert (approved["client_id"], approved["held_id"]) == ("h", ack["message_id"])


async def test_who_joins_is_shown_rules_pins_and_moderators_as_they_are(
    edge: EdgeServer, stage: Stage
) -> None:
    cyd = Speaker(stage.cyd.user_id, "cyd", "Cyd")
    async with visit(edge, stage, stage.ada) as ada:
        ack = await ada.chat(stage.room_id, "p", "read this")
        assert (await act(ada, stage, "pin", message_id=ack["message_id"]))["type"] == "done"
        await stage.command(RulesChange(stage.owner, {"slow_mode_s": 7, "held_words": ["x1"]}))
        await stage.command(MemberChange(stage.owner, cyd, MemberAct.APPOINT))
        await ada.wait(lambda: (ada.latest("room") or {}).get("offset") == 4)
        async with connect(edge) as late:
            position = await late.subscribe(stage.channel)
            await late.wait(lambda: late.latest("room"))
            shown = late.latest("room")
            assert shown == ada.latest("room")
            assert shown is not None
            assert shown["offset"] == position["offset"] == 4
            assert [pin["text"] for pin in shown["pins"]] == ["read this"]
            assert shown["rules"]["slow_mode_s"] == 7
            assert "held_words" not in shown["rules"]
            assert [person["username"] for person in shown["moderators"]] == ["cyd"]


async def test_reactions_reach_everybody_as_sums(edge: EdgeServer, stage: Stage) -> None:
    async with visit(edge, stage, stage.bob) as bob, visit(edge, stage, None) as stranger:
        for _ in range(10):
            await bob.say(type="react", room=str(stage.room_id), reaction="🔥")
        await stranger.wait(
            lambda: sum(data["counts"]["🔥"] for data in told(stranger, "reactions")) == 10
        )
        assert len(told(stranger, "reactions")) < 10
        answer = await stranger.ask(type="react", room=str(stage.room_id), reaction="🔥")
        assert answer["error"] == "not_authenticated"


async def test_announcements_and_raids_are_told_in_order(edge: EdgeServer, stage: Stage) -> None:
    async with visit(edge, stage, stage.bob) as bob:
        await stage.command(Announce(stage.owner, "a", "five minutes"))
        target = {"id": str(uuid.uuid4()), "title": "Next door", "owner": "x", "owner_name": "X"}
        await stage.command(RaidStart(stage.owner, "r", target))
        await bob.wait(lambda: told(bob, "raid"))
        assert told(bob, "announcement")[0]["text"] == "five minutes"
        assert told(bob, "raid")[0]["target"] == target
        assert bob.offsets(stage.channel) == [1, 2]


async def test_an_act_that_says_nothing_of_its_object_is_malformed(
    edge: EdgeServer, stage: Stage
) -> None:
    async with visit(edge, stage, stage.ada) as ada:
        answer = await act(ada, stage, "ban")
        assert (answer["error"], answer["client_id"]) == ("frame_malformed", "m-ban")


async def judge(question: Question) -> Verdict:
    """Answer as the line itself says; `slow` never answers."""
    if question.text == "slow":
        await asyncio.Event().wait()
    return Verdict(question.text)


@pytest.mark.parametrize("default", ["allow", "hold"])
async def test_moderation_looks_first_and_when_it_is_slow_the_default_holds(
    stage: Stage, objects: ObjectStore, default: str
) -> None:
    def wait_for(seconds: float) -> Settings:
        limits = dataclasses.replace(
            stage.settings.limits,
            chat_moderation_default=default,
            chat_moderation_timeout_s=seconds,
        )
        return dataclasses.replace(stage.settings, limits=limits)

    kinds = (make_room_kind(judge),)
    async with run_edge(stage.settings, objects) as edge:
        async with (
            run_host(wait_for(3600.0), kinds=kinds),
            visit(edge, stage, stage.bob) as bob,
        ):
            assert "held" not in await bob.chat(stage.room_id, "1", "allow")
            assert (await bob.chat(stage.room_id, "2", "hold"))["held"] is True
            assert (await refuse(bob, stage, "3", "refuse"))["error"] == "line_refused"
            await bob.wait(lambda: bob.lines(stage.channel) == ["allow"])
        async with (
            run_host(wait_for(0.3), "host-1", kinds=kinds),
            visit(edge, stage, stage.bob) as bob,
        ):
            ack = await bob.chat(stage.room_id, "4", "slow")
            assert ack.get("held", False) is (default == "hold")
            shown = ["slow"] if default == "allow" else []
            await bob.wait(lambda: bob.lines(stage.channel) == shown)


async def test_a_kill_of_the_host_loses_no_ban_no_pin_and_no_held_line(
    stage: Stage, objects: ObjectStore, database: Database, tmp_path: Path
) -> None:
    """What was acknowledged before the kill holds on the next host, for the same sockets."""
    path = write_settings(stage.settings, tmp_path / "settings.toml")
    bob = Speaker(stage.bob.user_id, "bob", "Bob")
    async with (
        run_child_host(path, "host-0") as first,
        run_edge(stage.settings, objects) as edge,
        visit(edge, stage, stage.ada) as ada,
        visit(edge, stage, stage.bob) as talker,
    ):
        await stage.command(RulesChange(stage.owner, {"held_words": ["maybe"]}))
        held = await talker.chat(stage.room_id, "h", "maybe")
        pin = await talker.chat(stage.room_id, "p", "pin me")
        await act(ada, stage, "pin", message_id=pin["message_id"])
        await stage.command(MemberChange(stage.owner, bob, MemberAct.BAN))
        async with run_child_host(path, "host-1"):
            await first.kill()
            while (refusal := await refuse(talker, stage, "late"))["retryable"]:
                await asyncio.sleep(0.1)  # the room has not opened on the next host yet
            assert refusal["error"] == "room_banned"
            await stage.command(HeldDecide(stage.owner, uuid.UUID(held["message_id"]), True))
            await ada.wait(lambda: ada.lines(stage.channel) == ["pin me", "maybe"])
            assert ada.offsets(stage.channel) == list(range(1, 7))
            async with connect(edge) as late:
                await late.subscribe(stage.channel)
                await late.wait(lambda: late.latest("room"))
                shown = late.latest("room")
                assert shown is not None
                assert [pin["text"] for pin in shown["pins"]] == ["pin me"]
    async with database.connection() as connection:
        chat = await load_chat(connection, stage.room_id)
    assert chat.members[stage.bob.user_id].is_banned
    assert chat.held == {}
