"""Fills a running site: renders the scenes, makes the people, uploads, posts, follows, likes.

Run again, it leaves what is there and adds what is missing; its notes (who, which password, what
was posted) are a private file in the home folder.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from cluster.apart import Tell
from cluster.seed import world
from cluster.seed.client import SiteClient
from kit.clock import SystemClock
from media.scenes.render import LENGTH_S_MAX, Scene, list_scenes, render_scene


@dataclass
class Notes:
    """What the seed has done so far; kept in `seed.json`, mode 0600."""

    password: str = ""
    videos: dict[str, str] = field(default_factory=dict)  # scene -> video id
    posts: dict[str, str] = field(default_factory=dict)  # number -> post id
    scene_s_max: int = LENGTH_S_MAX
    live_id: str = ""
    stream_key: str = ""


class NotesFile:
    """Reads and writes the notes."""

    def __init__(self, home: Path) -> None:
        self.path = home / "seed.json"
        self.notes = Notes(password=secrets.token_urlsafe(12))
        if self.path.exists():
            self.notes = msgspec.json.decode(self.path.read_bytes(), type=Notes)

    def save(self) -> None:
        """Write the notes, readable by their owner alone, all or nothing."""
        partial = self.path.with_suffix(".part")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(self.notes))
        partial.rename(self.path)


async def fill_site(url: str, home: Path, tell: Tell, scene_s_max: int) -> Notes:
    """Make the world on the site at `url`; return the notes.

    The length of its scenes is decided by the first run.
    """
    file = NotesFile(home)
    if not file.path.exists():
        file.notes.scene_s_max = scene_s_max
    facts = {scene.slug: scene for scene in list_scenes(file.notes.scene_s_max)}
    films = await render_scenes(list(facts.values()), home / "cache" / "scenes", tell)
    async with aiohttp.ClientSession() as session:
        people = {person.username: SiteClient(session, url) for person in world.PEOPLE}
        for person in world.PEOPLE:
            await _make_person(people[person.username], person, file.notes.password)
        tell(f"{len(people)} people")
        file.save()
        for follower, followee in world.FOLLOWS:
            await people[follower].request("POST", f"/v1/users/{followee}/follow")
        await _upload_scenes(people, [(facts[slug], films[slug]) for slug in facts], file, tell)
        await _write_posts(people, file, tell)
        await _make_live(people[world.DEMO_OWNER], file)
        await _announce_lives(people)
    return file.notes


async def render_scenes(scenes: Sequence[Scene], folder: Path, tell: Tell) -> dict[str, Path]:
    """Render the scenes that are not cached yet, one process per core; return them by slug."""
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(max_workers=max(1, (os.cpu_count() or 2) - 1)) as pool:
        work = {s.slug: loop.run_in_executor(pool, render_scene, s, folder) for s in scenes}
        done: dict[str, Path] = {}
        for number, (slug, future) in enumerate(work.items()):
            done[slug] = await future
            tell(f"scene {number + 1}/{len(work)}: {slug}")
    return done


async def _make_person(client: SiteClient, person: world.Person, password: str) -> None:
    await client.enter(person.username, password)
    body = {"display_name": person.display_name, "bio": person.bio}
    await client.request("PATCH", "/v1/me", json=body)


async def _upload_scenes(
    people: dict[str, SiteClient],
    scenes: Sequence[tuple[Scene, Path]],
    file: NotesFile,
    tell: Tell,
) -> None:
    owners = {post.scene: post.author for post in world.POSTS if post.scene}
    for scene, path in scenes:
        if scene.slug not in file.notes.videos:
            client = people[owners[scene.slug]]
            file.notes.videos[scene.slug] = await client.upload_video(path, scene.title, scene.line)
            file.save()
    for number, (scene, _) in enumerate(scenes):
        await people[owners[scene.slug]].wait_until_ready(file.notes.videos[scene.slug])
        tell(f"video {number + 1}/{len(scenes)} is ready: {scene.title}")


async def _write_posts(people: dict[str, SiteClient], file: NotesFile, tell: Tell) -> None:
    for number, post in enumerate(world.POSTS):
        if str(number) in file.notes.posts:
            continue
        videos = [file.notes.videos[post.scene]] if post.scene else []
        body: dict[str, Any] = {"text": post.text, "video_ids": videos, "visibility": "public"}
        made = await people[post.author].request("POST", "/v1/posts", json=body)
        for name in post.likes:
            await people[name].request("POST", f"/v1/posts/{made['id']}/like")
        for name, text in post.comments:
            comment = {"text": text}
            await people[name].request("POST", f"/v1/posts/{made['id']}/comments", json=comment)
        file.notes.posts[str(number)] = made["id"]
        file.save()
    tell(f"{len(world.POSTS)} posts with likes and comments")


async def _make_live(owner: SiteClient, file: NotesFile) -> None:
    if file.notes.live_id:
        live = await owner.request("GET", f"/v1/live/{file.notes.live_id}")
        if live["status"] != "ended":
            return
    live = await owner.request("POST", "/v1/live", json={"title": world.DEMO_TITLE})
    file.notes.live_id, file.notes.stream_key = live["id"], live["stream_key"]
    file.save()


async def _announce_lives(people: dict[str, SiteClient]) -> None:
    """Announce what is to come, of whom nothing is announced; each begins on a full hour."""
    hour = SystemClock().now().replace(minute=0, second=0, microsecond=0)
    for name, title, hours in world.UPCOMING:
        listed = await people[name].request("GET", f"/v1/live?state=scheduled&owner={name}")
        if not listed["items"]:
            begins = (hour + timedelta(hours=hours)).isoformat()
            body = {"title": title, "scheduled_at": begins}
            await people[name].request("POST", "/v1/live", json=body)
