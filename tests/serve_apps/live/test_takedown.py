"""A moderator takes a live down: what goes with it, what is on record, and who hears why."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from functools import partial

import httpx
import pytest

from kit.events import Event, EventName
from kit.settings import Settings
from serve_apps.http.state import ApiPorts
from serve_apps.live.jobs import tell_taken_down
from storage.database import Database, DatabaseBusy
from storage.lives import delete_live, lock_live
from tests.actors.user_session.people import HeardPeople
from tests.serve_apps.api_client import Person, deliver_all, make_job_ports, register
from tests.serve_apps.edge.cut_scene import make_moderator
from tests.serve_apps.edge.playback_client import serve_playback
from tests.serve_apps.live.ended_live import MOMENT, Ended
from tests.storage.waiting import wait_until_blocked

pytestmark = pytest.mark.media

REASON = "Shows a film of others."


@pytest.fixture
async def moderator(database: Database, client: httpx.AsyncClient, bob: Person) -> Person:
    return await make_moderator(database, client, bob)


@pytest.fixture
def ended(ada: Person, ports: ApiPorts, settings: Settings, client: httpx.AsyncClient) -> Ended:
    return Ended(ada, ports, settings, client)


async def take_down(moderator: Person, live_id: object) -> None:
    await moderator.post(f"/v1/live/{live_id}/takedown", {"reason": REASON}, status=204)


async def find_recording(ended: Ended, live_id: uuid.UUID) -> str:
    return str((await ended.ada.get(f"/v1/live/{live_id}"))["recording_id"])


async def insist(work: Callable[[], Awaitable[None]]) -> None:
    """Do it again, as runners do, while somebody holds what it waits for."""
    while True:
        try:
            return await work()
        except DatabaseBusy:
            await asyncio.sleep(0.05)


async def play(ended: Ended, video_id: str) -> int:
    """Return what an edge answers who wants to play a video."""
    ports = ended.ports
    served = serve_playback(ports.settings, ports.database, ports.objects, ports.clock)
    async with served as player:
        return (await player.get(f"/v/{video_id}/master.m3u8")).status


async def test_a_live_that_has_ended_goes_with_its_recording_and_its_owner_is_told_why_once(
    ended: Ended, moderator: Person, client: httpx.AsyncClient, database: Database
) -> None:
    live_id, people, ports = await ended.announce(2), HeardPeople(), ended.ports
    carol = await register(client, "carol")
    await ended.end(live_id)
    video_id = await find_recording(ended, live_id)
    assert await play(ended, video_id) == 200
    answer = await carol.call("POST", f"/v1/live/{live_id}/takedown", json={"reason": REASON})
    assert answer.status_code == 403
    await take_down(moderator, live_id)
    assert await play(ended, video_id) == 410
    for person in (ended.ada, carol, moderator):
        for path in (f"/v1/live/{live_id}", f"/v1/videos/{video_id}"):
            assert (await person.call("GET", path)).status_code == 404
    assert (await ended.ada.get("/v1/videos?owner=me"))["items"] == []
    await deliver_all(ports, people)
    async with database.connection() as connection:
        (event,) = await connection.fetch(
            "SELECT id, data FROM events WHERE name = 'stream.taken_down'"
        )
    again = Event(event["id"], EventName.STREAM_TAKEN_DOWN, live_id, None, event["data"], MOMENT)
    await tell_taken_down(make_job_ports(ports, people), again)
    ((kind, notice),) = people.notices[uuid.UUID(ended.ada.id)]
    assert (kind, notice["title"], notice["text"]) == ("takedown", "Night drive", REASON)
    assert notice["user"]["username"] == "ada", "who took it down is not told"
    async with database.connection() as connection:
        (act,) = await connection.fetch(
            "SELECT action, subject, details FROM audit_entries WHERE action LIKE 'live.%'"
        )
        jobs = await connection.fetch(
            "SELECT entrypoint FROM pgqueuer WHERE entrypoint LIKE '%purge'"
        )
    assert (act["action"], act["subject"]) == ("live.taken_down", f"live:{live_id}")
    assert (act["details"]["reason"], act["details"]["recording"]) == (REASON, video_id)
    assert [job["entrypoint"] for job in jobs] == ["videos.purge"], "its bytes go later"


async def test_a_recording_that_is_being_made_during_a_takedown_is_none(
    ended: Ended, database: Database
) -> None:
    live_id = await ended.announce(2)
    await ended.write_end(live_id)
    async with asyncio.TaskGroup() as tasks:
        async with database.transaction() as connection:
            await lock_live(connection, live_id)
            ending = tasks.create_task(insist(partial(ended.hear_end, live_id)))
            await wait_until_blocked(database)
            await delete_live(connection, live_id, takedown_reason=REASON)
        await ending
    assert (await ended.ada.get("/v1/videos?owner=me"))["items"] == []


async def test_whoever_sends_with_the_key_of_a_live_that_was_taken_down_hears_why(
    ada: Person, moderator: Person, client: httpx.AsyncClient
) -> None:
    taken, deleted = [await ada.post("/v1/live", {"title": "T"}, status=201) for _ in range(2)]
    await take_down(moderator, taken["id"])
    assert (await ada.call("DELETE", f"/v1/live/{deleted['id']}")).status_code == 204

    async def send(key: str) -> tuple[int, str, str]:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/sdp"}
        answer = await client.post("/whip", headers=headers)
        return answer.status_code, answer.json()["error"], answer.json()["message"]

    why = f"A moderator took this live down: {REASON}"
    assert await send(taken["stream_key"]) == (410, "live_taken_down", why)
    assert (await send(deleted["stream_key"]))[:2] == (401, "stream_key_invalid")
    assert (await send(""))[:2] == (401, "stream_key_invalid")
