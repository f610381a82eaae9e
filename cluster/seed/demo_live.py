"""The demo live: a process that loops a ready-encoded scene into the ordinary WHIP address.

Started by `socialflow seed` (`python -m cluster.seed.demo_live`), ended by `socialflow down`. It
reads its stream key from the seed's private notes, and comes back by itself after any failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
from pathlib import Path

import aiohttp

from cluster.seed.fill import NotesFile
from cluster.seed.world import DEMO_SCENE
from kit.logs import configure_logs, get_log
from kit.settings import load_settings
from media.scenes.render import list_scenes, render_scene
from media.whip.film import Film, encode_for_loop, read_film
from media.whip.publisher import FilmPublisher

log = get_log("demo_live")

HTTP_TIMEOUT_S = 10.0
RETRY_S = 2.0


async def publish_once(session: aiohttp.ClientSession, url: str, key: str, film: Film) -> None:
    """Hold one WHIP session until it breaks."""
    publisher = FilmPublisher(film)
    location: str | None = None
    timeout = aiohttp.ClientTimeout(total=HTTP_TIMEOUT_S)
    try:
        offer = await publisher.create_offer()
        headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {key}"}
        async with session.post(
            f"{url}/whip", data=offer, headers=headers, timeout=timeout
        ) as answer:
            text = await answer.text()
            if answer.status != 201:
                raise ConnectionError(f"WHIP answered {answer.status}: {text[:200]}")
            location = answer.headers["Location"]
        await publisher.accept(text)
        log.info("demo_live.connected")
        await publisher.wait_until_over()
    finally:
        await publisher.close()
        if location is not None:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await session.delete(location, timeout=timeout)


async def run() -> None:
    """Publish until told to stop."""
    settings = load_settings()
    configure_logs(settings.log_level)
    folder = settings.home / "cache" / "scenes"
    scenes = list_scenes(NotesFile(settings.home).notes.scene_s_max)
    scene = next(scene for scene in scenes if scene.slug == DEMO_SCENE)
    source = await asyncio.to_thread(render_scene, scene, folder)
    looped = await asyncio.to_thread(encode_for_loop, source, folder / f"{source.stem}-loop.mkv")
    film = await asyncio.to_thread(read_film, looped)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    publishing = asyncio.create_task(
        _publish_for_ever(settings.home, settings.http.public_url, film)
    )
    await stop.wait()
    publishing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await publishing


async def _publish_for_ever(home: Path, url: str, film: Film) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            key = NotesFile(home).notes.stream_key
            try:
                await publish_once(session, url, key, film)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                log.warning("demo_live.failed", error=repr(error))
            await asyncio.sleep(RETRY_S * random.uniform(0.5, 1.5))  # noqa: S311 -- jitter


if __name__ == "__main__":
    asyncio.run(run())
    sys.exit(0)
