"""What the beginning of a file says of it is a guess, and half of it knows better."""

from __future__ import annotations

import pytest

from media.vod.info import MediaInfo, decode_json
from tests.media.vod.clips import run_ffmpeg
from tests.serve_apps.videos.arriving import Arriving, CountingMedia, keep_sending
from tests.serve_apps.videos.video_world import VideoWorld

pytestmark = pytest.mark.media


@pytest.fixture(scope="module")
def far_between(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Forty seconds that could be passed on as they are, were their keyframes not so far apart."""
    path = tmp_path_factory.mktemp("film") / "far.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=480x320:rate=5:duration=40"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "100", "-keyint_min", "100"),
        *("-x264-params", "scenecut=0", "-pix_fmt", "yuv420p", "-b:v", "200k"),
        *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
        *("-movflags", "+faststart", path),
    )
    return path.read_bytes()


async def test_what_is_made_ahead_is_what_half_of_the_file_asks_for(
    world: VideoWorld, far_between: bytes
):
    media = CountingMedia(world.objects)
    arriving = Arriving(world, media, far_between)
    await arriving.open()
    job = await keep_sending(arriving, (0.1,))
    assert job is not None
    assert decode_json(job.info.encode(), MediaInfo).copyable is not None
    for share in (0.6, 0.95):
        await arriving.send(int(len(far_between) * share))
        job = await arriving.turn(job)
        assert job is not None
    assert decode_json(job.info.encode(), MediaInfo).copyable is None
    await arriving.send(len(far_between))
    await arriving.process()
    assert (await world.get_video(arriving.video_id)).status == "ready"
    assert media.parts <= 8, "only the end was left to make"
