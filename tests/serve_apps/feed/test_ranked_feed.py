"""The home feed and its reader's ranker: ordered by it, never failed or held up by it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from actors.feed_ranker.client import FeedRankers
from actors.feed_ranker.kind import FEED_KIND
from actors.hosting.messages import API
from kit.clock import ManualClock
from kit.ids import make_id
from kit.settings import Settings
from serve_apps.http.state import ApiPorts
from storage.database import Database
from tests.actors.hosting.stage import run_child_host, run_host, run_host_client, write_settings
from tests.serve_apps.api_client import Person, deliver_all
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db

PATIENT_S = 30.0


@contextlib.asynccontextmanager
async def ranked_by_hosts(
    app: FastAPI, ports: ApiPorts, timeout_s: float = PATIENT_S
) -> AsyncIterator[None]:
    """Let the API ask the hosts that run."""
    async with run_host_client(ports.settings, name="api-0", role=API) as hosts:
        rankers = FeedRankers(hosts)
        limits = dataclasses.replace(ports.settings.limits, feed_rank_timeout_s=timeout_s)
        patient = dataclasses.replace(ports.settings, limits=limits)
        app.state.ports = dataclasses.replace(ports, rankers=rankers, settings=patient)
        yield
        await rankers.close()


async def write_posts(author: Person, clock: ManualClock, count: int) -> list[str]:
    """Return the ids of posts, oldest first."""
    ids = []
    for number in range(count):
        clock.advance(1)
        ids.append((await author.write_post(f"post {number}"))["id"])
    return ids


async def note_shown(database: Database, reader: Person, ids: list[str], ago_s: float) -> None:
    """Store that posts were shown, as the reader's ranker does."""
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO feed_shown (user_id, seq, id, posts, created_at)"
            " SELECT $1, coalesce(max(seq), 0) + 1, $2, $3, $4 FROM feed_shown WHERE user_id = $1",
            uuid.UUID(reader.id),
            make_id(),
            [uuid.UUID(post_id) for post_id in ids],
            datetime.now(UTC) - timedelta(seconds=ago_s),
        )


async def read_home(reader: Person, **params: Any) -> tuple[str, list[str], str | None]:
    page = await reader.get("/v1/feed/home", params=params)
    return page["order"], [item["id"] for item in page["items"]], page["next_cursor"]


async def test_what_an_earlier_visit_was_shown_stands_behind_the_rest_of_its_page(
    app: FastAPI, ada: Person, bob: Person, ports: ApiPorts, clock: ManualClock
) -> None:
    await bob.post("/v1/users/ada/follow")
    a, b, c, d, e = await write_posts(ada, clock, 5)
    await deliver_all(ports)
    await note_shown(ports.database, bob, [e, c], ago_s=3600)
    await note_shown(ports.database, bob, [d], ago_s=5)
    async with run_host(ports.settings), ranked_by_hosts(app, ports):
        assert await read_home(bob) == ("unseen_first", [d, b, a, e, c], None)
        assert await read_home(bob) == ("unseen_first", [d, b, a, e, c], None), "the same visit"
        # Page by page: nothing twice, nothing skipped.
        _, first, cursor = await read_home(bob, limit=2)
        _, second, cursor = await read_home(bob, limit=2, cursor=cursor)
        _, third, cursor = await read_home(bob, limit=2, cursor=cursor)
        assert (first, second, third, cursor) == ([d, e], [b, c], [a], None)
        await wait_for_shown(ports.database, bob, {a, b, c, d, e})


async def wait_for_shown(database: Database, reader: Person, ids: set[str]) -> None:
    """Return when storage says that these posts, and no others, were shown, each once."""
    async with asyncio.timeout(60):
        while True:
            async with database.connection() as connection:
                rows = await connection.fetch(
                    "SELECT unnest(posts)::text AS id FROM feed_shown WHERE user_id = $1",
                    uuid.UUID(reader.id),
                )
            if sorted(row["id"] for row in rows) == sorted(ids):
                return
            await asyncio.sleep(0.02)


async def test_without_any_host_the_feed_is_newest_first(
    app: FastAPI, ada: Person, ports: ApiPorts, clock: ManualClock
) -> None:
    a, b = await write_posts(ada, clock, 2)
    await note_shown(ports.database, ada, [b], ago_s=3600)
    async with ranked_by_hosts(app, ports, timeout_s=0.05):
        began_s = time.monotonic()
        assert await read_home(ada) == ("newest_first", [b, a], None)
        assert time.monotonic() - began_s < 5, "a request to hosts waits for 8 s"


async def test_feeds_are_read_while_the_host_of_their_ranker_is_killed(
    app: FastAPI,
    ada: Person,
    ports: ApiPorts,
    clock: ManualClock,
    settings: Settings,
    tmp_path: Path,
) -> None:
    a, b = await write_posts(ada, clock, 2)
    await note_shown(ports.database, ada, [b], ago_s=3600)
    file = write_settings(settings, tmp_path / "settings.toml")
    answers: list[tuple[str, list[str], str | None]] = []
    slowest_s = 0.0

    async def keep_reading() -> None:
        nonlocal slowest_s
        while True:
            began_s = time.monotonic()
            answers.append(await read_home(ada))
            slowest_s = max(slowest_s, time.monotonic() - began_s)

    async with ranked_by_hosts(app, ports, timeout_s=0.15):
        async with run_child_host(file, "host-0") as first:
            readers = [asyncio.create_task(keep_reading()) for _ in range(4)]
            await wait_until(lambda: ("unseen_first", [a, b], None) in answers, 60)
            await first.kill()
            answers.clear()
            await wait_until(lambda: ("newest_first", [b, a], None) in answers, 60)
        async with run_child_host(file, "host-1"):
            answers.clear()
            await wait_until(lambda: ("unseen_first", [a, b], None) in answers, 60)
        for reader in readers:
            assert not reader.done(), "every read was answered with 200"
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    print(f"slowest read {slowest_s * 1000:.0f} ms")
    assert slowest_s < 5, "a request to hosts waits for 8 s"


async def test_a_host_that_runs_enough_rankers_refuses_more_and_the_feed_stays_newest_first(
    app: FastAPI, ada: Person, bob: Person, ports: ApiPorts, clock: ManualClock
) -> None:
    await bob.post("/v1/users/ada/follow")
    await write_posts(ada, clock, 2)
    await deliver_all(ports)
    one_ranker = dataclasses.replace(FEED_KIND, objects_max=1)
    async with run_host(ports.settings, kinds=(one_ranker,)), ranked_by_hosts(app, ports):
        assert (await read_home(ada))[0] == "unseen_first"
        assert (await read_home(bob))[0] == "newest_first"
        assert (await read_home(ada))[0] == "unseen_first"
