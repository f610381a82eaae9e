"""What is said about a video over the API: tags, category, language, chapters."""

from __future__ import annotations

import uuid

import httpx
import pytest

from serve_apps.http.state import ApiPorts
from tests.serve_apps.api_client import Person
from tests.storage.video_rows import create_ready_video

pytestmark = pytest.mark.db


async def test_labels_are_given_found_by_and_taken_away(
    client: httpx.AsyncClient, ada: Person, bob: Person, ports: ApiPorts
):
    async with ports.database.transaction() as connection:
        video, _ = [str(await create_ready_video(connection, uuid.UUID(ada.id))) for _ in range(2)]
    path = f"/v1/videos/{video}"
    chapters = [{"start_ms": 0, "title": "One"}, {"start_ms": 50_000, "title": "Two"}]
    change = {"tags": ["#Old  Town", "old town"], "category": "travel", "language": "pt-BR"}
    answer = await ada.call("PATCH", path, json={**change, "chapters": chapters})
    assert answer.status_code == 200, answer.text
    seen = (await client.get(path)).json()
    assert (seen["tags"], seen["category"], seen["language"]) == (["old town"], "travel", "pt-BR")
    assert seen["chapters"] == chapters
    for params in ({"tag": "old town"}, {"category": "travel"}):
        found = (await client.get("/v1/videos", params=params)).json()["items"]
        assert [it["id"] for it in found] == [video]
    assert len((await client.get("/v1/videos")).json()["items"]) == 2
    listed = "0:00 A\n0:20 B\n0:40 C"
    emptied = {"tags": [], "category": "", "language": "", "chapters": [], "description": listed}
    assert (await ada.call("PATCH", path, json=emptied)).status_code == 200
    seen = (await client.get(path)).json()
    assert (seen["tags"], seen["category"], seen["language"]) == ([], None, None)
    assert [it["title"] for it in seen["chapters"]] == ["A", "B", "C"]
    assert (await bob.call("PATCH", path, json={"tags": ["x"]})).status_code == 403
    for wrong in (
        {"category": "cats"},
        {"language": "klingon of old"},
        {"tags": [f"x{n}" for n in range(16)]},
        {"chapters": [{"start_ms": 5, "title": "Late"}]},
        {"chapters": [{"start_ms": 0, "title": " "}]},
    ):
        assert (await ada.call("PATCH", path, json=wrong)).status_code == 422, wrong
