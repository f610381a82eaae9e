"""What links, frames and feed readers get of videos, and what they do not."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import httpx
import pytest
from fastapi import FastAPI

from serve_apps.api.page import PageFiles
from serve_apps.http.state import ApiPorts
from tests.serve_apps.api_client import Person
from tests.storage.video_rows import create_ready_video

pytestmark = pytest.mark.db

SITE = "http://localhost:8000"
TITLE = 'A "walk" <b> & back\x01'


@pytest.fixture
async def videos(ada: Person, app: FastAPI, ports: ApiPorts, tmp_path: Path) -> dict[str, str]:
    """Lend ada's videos by visibility, on a site whose page is built."""
    (tmp_path / "index.html").write_text("<html><head><title>x</title></head></html>")
    app.router.default = PageFiles(tmp_path)
    async with ports.database.transaction() as connection:
        return {
            visibility: str(
                await create_ready_video(
                    connection, uuid.UUID(ada.id), visibility=visibility, title=TITLE
                )
            )
            for visibility in ("public", "unlisted", "followers", "subscribers", "private")
        }


async def test_a_link_shows_the_video_only_if_everybody_may_see_it(
    client: httpx.AsyncClient, videos: dict[str, str]
):
    for visibility, video in videos.items():
        for word, frames in (("watch", "'none'"), ("embed", "*")):
            page = await client.get(f"/{word}/{video}")
            assert page.status_code == 200
            assert f"frame-ancestors {frames}" in page.headers["content-security-policy"]
            is_open = visibility in ("public", "unlisted")
            assert ("og:title" in page.text) is is_open
            assert ("&quot;walk&quot; &lt;b&gt;" in page.text) is is_open
    for strange in ("nobody", str(uuid.uuid4())):
        page = await client.get(f"/watch/{strange}")
        assert (page.status_code, "og:title" in page.text) == (200, False)
    moved = await client.get(f"http://127.0.0.1:8000/watch/{videos['public']}")
    assert moved.status_code == 307


async def test_other_sites_get_the_embed_code_of_open_videos(
    client: httpx.AsyncClient, videos: dict[str, str]
):
    for visibility, video in videos.items():
        url = f"{SITE}/watch/{video}?t=5"
        answer = await client.get("/v1/oembed", params={"url": url, "maxwidth": 320})
        if visibility in ("public", "unlisted"):
            body = answer.json()
            assert (body["type"], body["width"], body["height"]) == ("video", 320, 180)
            assert f'src="{SITE}/embed/{video}"' in body["html"]
        else:
            assert (answer.status_code, answer.json()["error"]) == (404, "not_embeddable")
    for url in ("https://example.org/watch/" + videos["public"], f"{SITE}/u/ada", "http://["):
        answer = await client.get("/v1/oembed", params={"url": url})
        assert (answer.status_code, answer.json()["error"]) == (404, "not_embeddable")


async def test_a_channels_feed_lists_its_public_videos(
    client: httpx.AsyncClient, videos: dict[str, str]
):
    answer = await client.get("/u/Ada/feed.xml")
    assert answer.headers["content-type"].startswith("application/rss+xml")
    items = Xml.fromstring(answer.text).findall("channel/item")
    assert [item.findtext("link") for item in items] == [f"{SITE}/watch/{videos['public']}"]
    assert items[0].findtext("title") == 'A "walk" <b> & back'
    assert (await client.get("/u/ghost/feed.xml")).status_code == 404


async def test_characters_that_xml_forbids_leave_the_feed_well_formed(
    client: httpx.AsyncClient, ada: Person, videos: dict[str, str]
):
    forbidden = "\x0b\x1f\ufffe\uffff"
    text = {"title": f"A{forbidden} walk \U0001f305", "description": f"By{forbidden} <the> sea\x85"}
    changed = await ada.call("PATCH", f"/v1/videos/{videos['public']}", json=text)
    assert (changed.status_code, changed.json()["title"]) == (200, text["title"])
    named = await ada.call("PATCH", "/v1/me", json={"display_name": f"Ada{forbidden} L."})
    assert named.status_code == 200
    feed = Xml.fromstring((await client.get("/u/ada/feed.xml")).content)
    assert feed.findtext("channel/title") == "Ada L."
    assert feed.findtext("channel/item/title") == "A walk \U0001f305"
    assert feed.findtext("channel/item/description") == "By <the> sea\x85"


class FarthestFirst:
    """Ranks the other way round; names one twice, and one that nobody offered."""

    async def rank(
        self, video_id: uuid.UUID, candidates: Sequence[uuid.UUID], _viewer: uuid.UUID | None, /
    ) -> list[uuid.UUID]:
        return [video_id, *reversed(candidates), *candidates[:1]]


async def test_a_ranker_orders_related_videos_and_adds_none(
    app: FastAPI, client: httpx.AsyncClient, videos: dict[str, str], ports: ApiPorts
):
    path = f"/v1/videos/{videos['unlisted']}/related"
    async with ports.database.transaction() as connection:
        owner_id = await connection.fetchval("SELECT owner_id FROM videos LIMIT 1")
        for _ in range(2):
            await create_ready_video(connection, owner_id)
    before = [it["id"] for it in (await client.get(path)).json()["items"]]
    assert len(before) == 3
    app.state.ports = replace(ports, related=FarthestFirst())
    after = [it["id"] for it in (await client.get(path)).json()["items"]]
    assert after == before[::-1]
    assert len((await client.get(path, params={"limit": 2})).json()["items"]) == 2


async def test_related_videos_are_public_and_the_closest_come_first(
    client: httpx.AsyncClient,
    ada: Person,
    bob: Person,
    videos: dict[str, str],
    ports: ApiPorts,
):
    async with ports.database.transaction() as connection:
        tagged, other = [
            str(await create_ready_video(connection, uuid.UUID(bob.id))) for _ in range(2)
        ]
        mine = str(await create_ready_video(connection, uuid.UUID(ada.id)))
    tags = {"tags": ["a", "b", "c"]}
    for person, video in ((bob, tagged), (ada, videos["unlisted"])):
        answer = await person.call("PATCH", f"/v1/videos/{video}", json=tags)
        assert answer.status_code == 200
    path = f"/v1/videos/{videos['unlisted']}/related"
    found = [it["id"] for it in (await client.get(path)).json()["items"]]
    assert found == [tagged, mine, videos["public"], other]
    assert len((await client.get(path, params={"limit": 1})).json()["items"]) == 1
    hidden = await client.get(f"/v1/videos/{videos['private']}/related")
    assert (hidden.status_code, hidden.json()["error"]) == (404, "video_not_found")
