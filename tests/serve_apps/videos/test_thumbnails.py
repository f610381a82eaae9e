"""The owner chooses the picture of a video, or brings one along; nobody else does."""

from __future__ import annotations

import base64
import uuid

import cv2
import numpy as np
import orjson
import pytest

from media.vod.info import encode_json
from media.vod.records import TaskRecord, candidate_key, thumbnail_key
from storage import video_chunks, videos
from tests.serve_apps.videos.api_stage import Api

pytestmark = pytest.mark.db

PNG = base64.b64encode(bytes(cv2.imencode(".png", np.zeros((90, 160, 3), np.uint8))[1])).decode()


async def find_pictures(api: Api, video_id: uuid.UUID, count: int) -> None:
    """Have the processing find so many pictures."""
    name = str(video_id)
    keys = (thumbnail_key(name), *(candidate_key(name, index) for index in range(count)))
    record = orjson.loads(encode_json(TaskRecord("thumbnails", images=keys)))
    async with api.world.database.transaction() as connection:
        chunk = video_chunks.NewChunk("thumbnails", 0, {"kind": "thumbnails"})
        await video_chunks.insert_chunks(connection, video_id, [chunk])
        await video_chunks.finish_chunk(connection, video_id, "thumbnails", record)
        await videos.set_thumbnail(connection, video_id, keys[0])


async def test_the_owner_chooses_among_what_was_found(api: Api):
    ada = await api.add_person()
    video_id = await api.add_ready_video(ada)
    assert (await ada.call("GET", f"/{video_id}/thumbnails")).json() == {"items": []}
    await find_pictures(api, video_id, 3)
    items = (await ada.call("GET", f"/{video_id}/thumbnails")).json()["items"]
    assert [item["is_chosen"] for item in items] == [True, False, False]
    assert items[2]["url"] == f"http://localhost:8001/v/{video_id}/thumbnails/2.jpg"
    shown = (await ada.call("PUT", f"/{video_id}/thumbnail", {"index": 2})).json()
    assert shown["playback"]["thumbnail"].endswith(f"/v/{video_id}/thumbnail.jpg?v=2")
    items = (await ada.call("GET", f"/{video_id}/thumbnails")).json()["items"]
    assert [item["is_chosen"] for item in items] == [False, False, True]
    async with api.world.database.transaction() as connection:
        await videos.set_thumbnail(connection, video_id, "what a repeated task found")
    video = await api.world.get_video(video_id)
    assert video.thumbnail_key == candidate_key(str(video_id), 2)


async def test_the_owner_brings_a_picture_along_and_takes_another(api: Api):
    ada = await api.add_person()
    video_id = await api.add_ready_video(ada)
    keys = []
    for shade in (0, 200):
        picture = np.full((90, 160, 3), shade, np.uint8)
        text = base64.b64encode(bytes(cv2.imencode(".png", picture)[1])).decode()
        answer = await ada.call("PUT", f"/{video_id}/thumbnail", {"picture": text})
        assert answer.status_code == 200
        keys.append((await api.world.get_video(video_id)).thumbnail_key)
        assert answer.json()["playback"]["thumbnail"].endswith(
            f"?v={str(keys[-1]).rpartition('/')[2].removesuffix('.jpg')}"
        )
    left = await api.world.objects.list(f"videos/{video_id}")
    assert [entry.key for entry in left] == [keys[1]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"index": 3}, 404),
        ({"index": -1}, 422),
        ({"picture": "no base64!"}, 422),
        ({"picture": "AAAA"}, 422),
        ({"index": 0, "picture": PNG}, 422),
        ({}, 422),
    ],
)
async def test_what_is_no_picture_to_show_is_refused(api: Api, body: object, status: int):
    ada = await api.add_person()
    video_id = await api.add_ready_video(ada)
    await find_pictures(api, video_id, 3)
    assert (await ada.call("PUT", f"/{video_id}/thumbnail", body)).status_code == status
    assert (await api.world.get_video(video_id)).thumbnail_key == thumbnail_key(str(video_id))


async def test_another_person_neither_sees_nor_chooses(api: Api):
    ada, eve = await api.add_person(), await api.add_person()
    video_id = await api.add_ready_video(ada)
    assert (await eve.call("GET", f"/{video_id}/thumbnails")).status_code == 403
    for body in ({"index": 0}, {"picture": PNG}):
        assert (await eve.call("PUT", f"/{video_id}/thumbnail", body)).status_code == 403
    assert await api.world.objects.list(f"videos/{video_id}") == []
