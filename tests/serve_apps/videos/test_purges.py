"""Bytes of deleted videos go, also when their place was away for as long as a job is tried."""

from __future__ import annotations

import msgspec
import pytest

from kit.ids import make_id
from serve_apps.deletions import PURGE_AGAIN_S, PURGE_JOB
from serve_apps.videos.jobs import HANDLERS
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld, job_payload

pytestmark = pytest.mark.db


async def test_a_removal_that_kept_failing_is_tried_again_hours_later(world: VideoWorld) -> None:
    video_id = make_id()
    give_up = HANDLERS[PURGE_JOB].give_up
    assert give_up is not None
    await give_up(world.ports(InlineMedia(world.objects)), job_payload(video_id), OSError())
    async with world.database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT payload, extract(epoch FROM execute_after - now())::float AS after_s"
            " FROM pgqueuer WHERE entrypoint = $1",
            PURGE_JOB,
        )
    assert row is not None
    assert msgspec.json.decode(row["payload"]) == {"video_id": str(video_id)}
    assert row["after_s"] == pytest.approx(PURGE_AGAIN_S, abs=60)
