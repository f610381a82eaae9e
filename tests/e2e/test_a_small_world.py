"""`socialflow seed` on a running product: people, posts, films that play, and a live on air.

The file's name comes before that of test_accessibility.py, which ends the live.
"""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from cluster.seed.world import DEMO_OWNER, DEMO_TITLE, PEOPLE, POSTS, UPCOMING
from cluster.status import DEMO
from media.scenes.render import SCENES
from tests.e2e.people import wait_for_picture
from tests.product import Product, await_true, fetch

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenPage = Callable[..., Page]


def get(product: Product, path: str) -> Any:
    return json.loads(fetch(f"{product.url}/v1{path}"))


def look_around(product: Product) -> dict[str, Any]:
    """Read all that a stranger can see of the world; two looks are equal when nothing was added."""
    world: dict[str, Any] = {"live": [item["id"] for item in get(product, "/live")["items"]]}
    to_come = get(product, "/live?state=scheduled")["items"]
    world["to come"] = [(item["owner"]["username"], item["title"]) for item in to_come]
    for person in PEOPLE:
        path = f"/users/{person.username}"
        profile, posts = get(product, path), get(product, f"{path}/posts?limit=100")["items"]
        world[person.username] = {
            "names": (profile["display_name"], profile["bio"]),
            "counters": profile["counters"],
            "posts": [(post["id"], post["text"], post["counters"]) for post in posts],
            "videos": [v["id"] for v in get(product, f"{path}/videos?limit=100")["items"]],
        }
    return world


def is_filled(world: dict[str, Any]) -> bool:
    """Say whether every post of the seed is there once with its likes and comments."""
    found = [
        (name, text, counters["likes"], counters["comments"])
        for name in (person.username for person in PEOPLE)
        for _, text, counters in world[name]["posts"]
    ]
    wanted = [(p.author, p.text, len(p.likes), len(p.comments)) for p in POSTS]
    return sorted(found) == sorted(wanted)


def probe(address: str) -> tuple[set[str], float]:
    """Return the kinds of streams that ffprobe finds, and the length."""
    entries = "format=duration:stream=codec_type"
    result = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "json", address],
        capture_output=True,
        timeout=60,
        check=True,
    )
    told = json.loads(result.stdout)
    return {stream["codec_type"] for stream in told["streams"]}, float(told["format"]["duration"])


def test_it_says_what_it_made_and_how_to_look_at_it(small_world: str, product: Product):
    assert f"{len(PEOPLE)} people" in small_world
    assert f"{product.url} has a small world now. Log in as bea, password " in small_world


def test_the_people_are_there_with_their_posts_likes_and_comments(
    small_world: str, product: Product
):
    await_true(lambda: is_filled(look_around(product)), "the world is filled", timeout_s=60)
    world = look_around(product)
    for person in PEOPLE:
        assert world[person.username]["names"] == (person.display_name, person.bio)
    assert world["bea"]["counters"]["following"] == 6
    assert set(world["to come"]) >= {(name, title) for name, title, _hours in UPCOMING}


def test_six_films_are_ready_and_play(small_world: str, product: Product):
    ids = [i for person in PEOPLE for i in look_around(product)[person.username]["videos"]]
    videos = [get(product, f"/videos/{video_id}") for video_id in ids]
    assert sorted(v["title"] for v in videos) == sorted(scene.title for scene in SCENES)
    for video in videos:
        assert video["status"] == "ready"
        kinds, length_s = probe(video["playback"]["hls"])
        assert kinds == {"video", "audio"}
        assert length_s == pytest.approx(1, abs=0.2)


def test_the_demo_is_on_air_by_whip_and_seen_in_a_browser(
    small_world: str, product: Product, open_page: OpenPage
):
    def find_demo() -> dict[str, Any] | None:
        items = get(product, "/live")["items"]
        return next((item for item in items if item["title"] == DEMO_TITLE), None)

    await_true(lambda: (find_demo() or {}).get("status") == "live", "the demo is on air")
    demo = find_demo()
    assert demo is not None
    assert demo["owner"]["username"] == DEMO_OWNER
    viewer = open_page(f"/live/{demo['id']}")
    wait_for_picture(viewer)
    part = product.find_part(DEMO)
    assert part is not None
    assert part.health == "healthy"


def test_a_second_run_adds_nothing(small_world: str, product: Product):
    before, demo = look_around(product), product.pids(DEMO)
    assert product.run("seed", "--scene-seconds", "1").returncode == 0
    assert look_around(product) == before
    assert product.pids(DEMO) == demo
