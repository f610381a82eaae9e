"""Hosts on another machine: links over TLS, placement anywhere, and when an owner is given up."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.hosting.core import ObjectKey
from actors.hosting.directory import Directory, HostsAway
from actors.hosting.postgres import PostgresStore
from cluster.keys import ensure_keys
from kit.clock import SystemClock
from kit.ids import make_id
from kit.setting_sections import ClusterSettings
from kit.settings import Settings
from serve_apps.hosting import KINDS
from storage.database import Database
from storage.hosts import announce_host, list_live_hosts, register_host
from tests.actors.hosting.stage import (
    Heard,
    make_speaker,
    run_client,
    run_host,
)
from tests.storage.live_rows import create_room_row, create_user_row
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db


@pytest.fixture
def away(settings: Settings) -> Iterator[Settings]:
    """Lend the settings of a second machine of this installation, with a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="sf-"))
    (folder / "run").mkdir(mode=0o700)
    settings.keys_folder.mkdir()
    ensure_keys(settings.keys_folder, ClusterSettings())
    shutil.copytree(settings.keys_folder, folder / "keys")
    yield dataclasses.replace(settings, home=folder)
    shutil.rmtree(folder)


async def place_on(database: Database, key: ObjectKey, node: str, ttl_s: float = 5.0) -> None:
    """Register a host of `node` that is nowhere, and place the object there."""
    async with database.connection() as connection:
        host_id = f"host-{make_id().hex[-6:]}"
        incarnation = await register_host(connection, host_id, node=node, ttl_s=60)
        await announce_host(connection, host_id, incarnation, "tls://127.0.0.1:1")
    store = PostgresStore(database, KINDS)
    assert await store.place(key, (host_id, incarnation)) is not None
    assert await store.renew((host_id, incarnation), ttl_s)


def make_directory(database: Database) -> Directory:
    return Directory(PostgresStore(database, KINDS), SystemClock(), "here")


async def test_chat_goes_to_a_host_on_another_machine_and_back(
    settings: Settings, away: Settings, database: Database
) -> None:
    async with database.connection() as connection:
        owner_id = await create_user_row(connection, "ada")
        room_id = await create_room_row(connection, owner_id)
    heard = Heard()
    async with run_host(away), run_client(settings, heard) as client:
        async with database.connection() as connection:
            (host,) = await list_live_hosts(connection)
        assert str(away.run_folder) in host.address
        assert " tls://127.0.0.1:" in host.address
        client.open_room(room_id)
        await wait_until(lambda: bool(heard.opened))
        speaker = make_speaker(owner_id)
        sent = [
            await client.send_chat(room_id, speaker, f"c{number}", f"line {number}")
            for number in range(20)
        ]
        await wait_until(lambda: len(heard.seqs(room_id)) >= len(sent))
        assert [stored.seq for stored in sent] == sorted({stored.seq for stored in sent})
        assert heard.seqs(room_id)[-len(sent) :] == [stored.seq for stored in sent]


async def test_objects_are_placed_on_the_emptiest_host_of_any_machine(database: Database) -> None:
    taken, fresh = ObjectKey("room", make_id()), ObjectKey("room", make_id())
    await place_on(database, taken, "here", ttl_s=60)
    async with database.connection() as connection:
        incarnation = await register_host(connection, "host-0@b", node="b", ttl_s=60)
        await announce_host(connection, "host-0@b", incarnation, "tls://127.0.0.1:2")
    placement = await make_directory(database).get_owner(fresh)
    assert (placement.host_id, placement.node) == ("host-0@b", "b")


async def test_an_owner_elsewhere_that_renews_its_lease_is_left_alone(database: Database) -> None:
    key = ObjectKey("room", make_id())
    await place_on(database, key, "b", ttl_s=60)
    directory = make_directory(database)
    placement = await directory.get_owner(key)
    with pytest.raises(HostsAway):
        await directory.fence_owner(key, placement)
    assert (await directory.get_owner(key)).host_id == placement.host_id


@pytest.mark.parametrize(("node", "is_gone"), [("b", True), ("here", False)])
async def test_an_owner_whose_door_is_shut_or_who_is_here_is_fenced_at_once(
    database: Database, node: str, is_gone: bool
) -> None:
    key = ObjectKey("room", make_id())
    await place_on(database, key, node, ttl_s=60)
    directory = make_directory(database)
    await directory.fence_owner(key, await directory.get_owner(key), is_gone=is_gone)
    with pytest.raises(HostsAway):  # there is no other host
        await directory.get_owner(key)


async def test_an_owner_elsewhere_that_missed_renewals_is_fenced(database: Database) -> None:
    key = ObjectKey("room", make_id())
    await place_on(database, key, "b", ttl_s=1.0)
    async with database.connection() as connection:
        await register_host(connection, "bystander", node="here", ttl_s=60)
        await connection.execute(
            "UPDATE hosts SET steady_since = now() - interval '1 minute' WHERE id = 'bystander'"
        )
    directory = make_directory(database)
    placement = await directory.get_owner(key)

    async def is_fenced() -> bool:
        try:
            await directory.fence_owner(key, placement)
        except HostsAway:
            return False
        return True

    async with asyncio.timeout(60):
        while not await is_fenced():
            await asyncio.sleep(0.1)
    with pytest.raises(HostsAway):
        await directory.get_owner(key)
