"""Subtitles: the owner writes a language, players find it in HLS and DASH, nobody else writes."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from actors.job_runner.ports import Captions, Speech
from kit.clock import SystemClock
from serve_apps.videos.captioning import CAPTION_JOB, caption_video
from serve_apps.videos.jobs import process_video
from serve_apps.videos.service import VideoNotFound
from serve_apps.videos.subtitles import LANGUAGES_MAX, Draft, TooManyLanguages, keep_subtitles
from storage.objects import ObjectStore
from storage.subtitles import list_subtitles
from storage.videos import delete_video
from tests.serve_apps.edge.playback_client import serve_playback
from tests.serve_apps.videos.api_stage import Api
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import job_payload

pytestmark = pytest.mark.media

SRT = "1\n00:00:01,000 --> 00:00:02,000\n{}\n"
ENGLISH = {"label": "English", "text": SRT.format("Good <i>morning</i>")}


async def list_objects(api: Api, video_id: uuid.UUID) -> list[str]:
    found = await api.world.objects.list(f"videos/{video_id}/subtitles")
    return [entry.key.rpartition("/")[2] for entry in found]


async def test_a_player_finds_the_languages_of_a_video(api: Api, clip: bytes):
    ada = await api.add_person()
    video_id = await api.world.upload(clip, owner_id=ada.id)
    world, base = api.world, f"/v/{video_id}"
    await process_video(world.ports(InlineMedia(world.objects)), job_payload(video_id))
    answer = await ada.call("PUT", f"/{video_id}/subtitles/en", ENGLISH)
    (item,) = answer.json()["items"]
    assert (item["language"], item["label"], item["origin"]) == ("en", "English", "uploaded")
    german = {"label": "Deutsch", "text": SRT.format("Guten Morgen")}
    await ada.call("PUT", f"/{video_id}/subtitles/de-AT", german)
    strange = {"label": "Français\ufffe\uffff", "text": SRT.format("Bonjour")}
    await ada.call("PUT", f"/{video_id}/subtitles/fr", strange)
    file = item["url"].rpartition("/")[2]
    async with serve_playback(
        world.settings, world.database, world.objects, SystemClock()
    ) as player:
        master = (await player.get(f"{base}/master.m3u8")).text
        assert 'NAME="Deutsch",LANGUAGE="de-AT"' in master
        variants = [line for line in master.splitlines() if line.startswith("#EXT-X-STREAM-INF")]
        assert all('SUBTITLES="subtitles"' in line for line in variants)
        assert f"subtitles/{file}" in (await player.get(f"{base}/subtitles-en.m3u8")).text
        text = await player.get(f"{base}/subtitles/{file}")
        assert text.headers["Content-Type"].startswith("text/vtt")
        assert text.text.endswith("00:00:01.000 --> 00:00:02.000\nGood <i>morning</i>\n")
        manifest = (await player.get(f"{base}/manifest.mpd")).text
        assert f"<BaseURL>subtitles/{file}</BaseURL>" in manifest
        labels = [label.text for label in ElementTree.fromstring(manifest).iterfind(".//{*}Label")]
        assert labels == ["Deutsch", "English", "Français"], "without what XML cannot hold"
        assert (await player.get(f"{base}/subtitles/en-000000000000.vtt")).status == 404


async def test_a_language_is_replaced_and_removed_with_its_bytes(api: Api):
    ada = await api.add_person()
    video_id = await api.add_ready_video(ada)
    path = f"/{video_id}/subtitles"
    await ada.call("PUT", f"{path}/en", ENGLISH)
    first = await list_objects(api, video_id)
    await ada.call("PUT", f"{path}/en", {"label": "English", "text": SRT.format("Hello")})
    second = await list_objects(api, video_id)
    assert len(second) == 1
    assert first != second
    assert (await ada.call("DELETE", f"{path}/en")).status_code == 204
    assert await list_objects(api, video_id) == []
    assert (await ada.call("DELETE", f"{path}/en")).status_code == 404
    assert (await ada.call("GET", path)).json() == {"items": []}


class HeldStore(ObjectStore):
    """Stores in memory; what is removed waits while it is told to."""

    may_delete: asyncio.Event | None = None
    is_held: asyncio.Event

    def hold(self) -> None:
        self.may_delete, self.is_held = asyncio.Event(), asyncio.Event()

    async def delete(self, key: str) -> None:
        if self.may_delete is not None:
            self.is_held.set()
            await self.may_delete.wait()
        await super().delete(key)


def draft(words: str, language: str = "en") -> Draft:
    return Draft(language, "English", SRT.format(words))


async def test_of_two_who_replace_a_language_neither_removes_what_the_other_wrote(api: Api):
    ada = await api.add_person()
    video_id = await api.add_ready_video(ada)
    database, objects = api.world.database, HeldStore.open("memory:///")
    await keep_subtitles(database, objects, video_id, draft("one"))
    objects.hold()
    between = asyncio.create_task(keep_subtitles(database, objects, video_id, draft("two")))
    await objects.is_held.wait()  # its row is there, and it removes what it replaced
    gate, objects.may_delete = objects.may_delete, None
    assert gate is not None
    await keep_subtitles(database, objects, video_id, draft("one"))  # as it was before
    gate.set()
    await between
    async with database.connection() as connection:
        (kept,) = await list_subtitles(connection, video_id)
    (entry,) = await objects.list(f"videos/{video_id}/subtitles")
    assert entry.key.rpartition("/")[2] == kept.file
    assert b"one" in await objects.get(entry.key)


async def test_what_is_refused_leaves_no_text_behind(api: Api):
    ada = await api.add_person()
    video_id = await api.add_ready_video(ada)
    world = api.world
    for number in range(LANGUAGES_MAX):
        language = f"a{chr(97 + number // 26)}{chr(97 + number % 26)}"
        await keep_subtitles(world.database, world.objects, video_id, draft("hi", language))
    before = await list_objects(api, video_id)
    with pytest.raises(TooManyLanguages):
        await keep_subtitles(world.database, world.objects, video_id, draft("hi"))
    async with world.database.transaction() as connection:
        await delete_video(connection, video_id)
    with pytest.raises(VideoNotFound):
        await keep_subtitles(world.database, world.objects, video_id, draft("hi", "aaa"))
    assert await list_objects(api, video_id) == before
    assert len(before) == LANGUAGES_MAX


async def test_captions_made_by_themselves_never_replace_a_persons(api: Api):
    ada = await api.add_person()
    video_id = await api.add_ready_video(ada)
    world = api.world
    guessed = Draft("en", "English", SRT.format("Guessed"), origin="automatic")
    assert await keep_subtitles(world.database, world.objects, video_id, guessed)
    items = (await ada.call("GET", f"/{video_id}/subtitles")).json()["items"]
    assert items[0]["origin"] == "automatic"
    await ada.call("PUT", f"/{video_id}/subtitles/en", ENGLISH)
    assert not await keep_subtitles(world.database, world.objects, video_id, guessed)
    items = (await ada.call("GET", f"/{video_id}/subtitles")).json()["items"]
    assert items[0]["origin"] == "uploaded"
    assert await list_objects(api, video_id) == [items[0]["url"].rpartition("/")[2]]


@pytest.mark.parametrize(
    ("language", "body", "status"),
    [
        ("en", {"label": "English", "text": "Once upon a time"}, 422),
        ("en", {"label": 'Eng"lish', "text": ENGLISH["text"]}, 422),
        ("english", ENGLISH, 422),
        ("en_us", ENGLISH, 422),
        ("en", {"label": "English"}, 422),
    ],
)
async def test_what_is_no_subtitles_is_refused(api: Api, language: str, body: object, status: int):
    ada = await api.add_person()
    video_id = await api.add_ready_video(ada)
    answer = await ada.call("PUT", f"/{video_id}/subtitles/{language}", body)
    assert answer.status_code == status
    assert await list_objects(api, video_id) == []


async def test_another_person_reads_but_does_not_write(api: Api):
    ada, eve = await api.add_person(), await api.add_person()
    video_id = await api.add_ready_video(ada)
    await ada.call("PUT", f"/{video_id}/subtitles/en", ENGLISH)
    assert len((await eve.call("GET", f"/{video_id}/subtitles")).json()["items"]) == 1
    assert (await eve.call("PUT", f"/{video_id}/subtitles/fr", ENGLISH)).status_code == 403
    assert (await eve.call("DELETE", f"/{video_id}/subtitles/en")).status_code == 403
    hidden = await api.add_ready_video(ada, "private")
    assert (await eve.call("GET", f"/{hidden}/subtitles")).status_code == 404


class Listener:
    """Writes down the same for every video, and remembers what it was asked."""

    is_there = True

    def __init__(self, heard: Captions | None) -> None:
        self.heard = heard
        self.asked: list[Speech] = []

    async def write_down(self, speech: Speech) -> Captions | None:
        self.asked.append(speech)
        return self.heard


async def list_asked(api: Api) -> list[bytes]:
    async with api.world.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT payload FROM pgqueuer WHERE entrypoint = $1", CAPTION_JOB
        )
    return [row["payload"] for row in rows]


async def test_what_is_said_in_a_video_is_written_down_once_it_is_ready(api: Api, clip: bytes):
    ada = await api.add_person()
    world = api.world
    video_id = await world.upload(clip, owner_id=ada.id)
    listener = Listener(Captions("en", "English", SRT.format("hello")))
    ports = replace(world.ports(InlineMedia(world.objects)), captions=listener)
    await process_video(ports, job_payload(video_id))
    (asked,) = await list_asked(api)
    for _time in range(2):
        await caption_video(ports, asked)
    assert {speech.video_id for speech in listener.asked} == {video_id}
    (item,) = (await ada.call("GET", f"/{video_id}/subtitles")).json()["items"]
    assert (item["language"], item["origin"]) == ("en", "automatic")
    assert len(await list_objects(api, video_id)) == 1
    await ada.call("PUT", f"/{video_id}/subtitles/en", ENGLISH)
    await caption_video(ports, asked)
    (item,) = (await ada.call("GET", f"/{video_id}/subtitles")).json()["items"]
    assert item["origin"] == "uploaded"


async def test_where_nobody_listens_or_nothing_is_said_there_are_no_captions(api: Api, clip: bytes):
    ada = await api.add_person()
    world = api.world
    ports = world.ports(InlineMedia(world.objects))
    video_id = await world.upload(clip, owner_id=ada.id)
    await process_video(ports, job_payload(video_id))
    assert await list_asked(api) == []
    await caption_video(replace(ports, captions=Listener(None)), job_payload(video_id))
    assert (await ada.call("GET", f"/{video_id}/subtitles")).json()["items"] == []
