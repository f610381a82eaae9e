"""Where this machine's GPU encodes: a rung it makes plays, to the same bytes each time."""

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest

from cluster.nvenc import find_nvenc_refusal
from media.vod.ladder import NVENC, Rung
from media.vod.plan import Chunk, PlanOrder, plan_video
from media.vod.probe import probe_file
from media.vod.records import segment_name, track_key
from media.vod.task_jobs import ChunkJob
from media.vod.transcode import transcode_chunk
from storage.objects import ObjectStore
from tests.media.vod.clips import SOURCE_KEY, VIDEO_ID, Shot, read_number, write_numbered

if find_nvenc_refusal():
    pytest.skip("no NVENC here", allow_module_level=True)

pytestmark = pytest.mark.gpu


def make_rung(clip: Path) -> bytes:
    store = ObjectStore.open("memory:///")
    store.put_file_sync(SOURCE_KEY, clip)
    plan = plan_video(probe_file(clip), PlanOrder(VIDEO_ID, SOURCE_KEY))
    assert plan.info.video is not None
    rung = Rung("360p", 640, 360, 1_000_000, encoder=NVENC)
    chunk = Chunk(0, 0, plan.grid.segments)
    job = ChunkJob("gpu-00000", VIDEO_ID, SOURCE_KEY, plan.info.video, plan.grid, chunk, (rung,))
    (track,) = transcode_chunk(job, store).tracks
    names = [track.init_name, *(segment_name(it.number) for it in track.segments)]
    return b"".join(store.get_sync(track_key(VIDEO_ID, "360p", name)) for name in names)


def test_a_rung_of_a_gpu_shows_every_frame_and_has_the_same_bytes_each_time(tmp_path: Path):
    shot = Shot(width=640, height=360)
    clip = write_numbered(tmp_path / "clip.mp4", [Fraction(n, 30) for n in range(150)], shot)
    data = make_rung(clip)
    with av.open(io.BytesIO(data)) as container:
        assert [read_number(frame) for frame in container.decode(video=0)] == list(range(150))
    assert make_rung(clip) == data
