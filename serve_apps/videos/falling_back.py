"""Makes all of a video, also when the GPU that was to make some of it goes away meanwhile.

The processing jobs call it. The rule: as soon as no machine offers NVENC any more, what a GPU has
not finished is planned anew for x264, under other names; a rung that is whole stays. No address
ever changes its bytes, and no rung has two encoders.
"""

from __future__ import annotations

from actors.job_runner.ports import JobPorts
from kit.logs import get_log
from media.vod.plan import TranscodePlan, give_up_nvenc, list_tracks
from media.vod.records import record_key, unfinished_prefix, video_prefix
from serve_apps.videos.preparing import insert_pieces
from serve_apps.videos.transcoding import EncoderAway, Making, Transcoding
from serve_apps.videos.work import Work, make_work
from storage import video_chunks, videos

log = get_log("videos")


async def make_all(ports: JobPorts, video: videos.Video, work: Work, making: Making) -> None:
    """Do all that is left; raises TranscodeFailed, MediaUnreadable, VideoVanished."""
    while True:
        coordinator = Transcoding(ports, video, work, making)
        try:
            await coordinator.run()
        except EncoderAway:
            plan = coordinator.plan
            assert plan is not None, "only an upload's plan names an encoder"
            work = make_work(await fall_back(ports, video, plan, making))
        else:
            return


async def fall_back(
    ports: JobPorts, video: videos.Video, plan: TranscodePlan, making: Making
) -> TranscodePlan:
    """Store the plan without a GPU, with its pieces, and remove what was begun of the others."""
    async with ports.database.transaction() as connection:
        chunks = await video_chunks.list_chunks(connection, video.id)
        without = give_up_nvenc(plan, {it.name for it in chunks if it.state == "done"})
        kept = {task.task_id for task in without.tasks}
        dropped = [task.task_id for task in plan.tasks if task.task_id not in kept]
        await making.save_plan(connection, without)
        await video_chunks.remove_chunks(connection, video.id, dropped)
        await insert_pieces(connection, video.id, without.tasks)
    for track in set(list_tracks(plan)) - set(list_tracks(without)):
        await ports.objects.delete_prefix(f"{video_prefix(plan.video_id)}/{track}")
    for piece in dropped:
        await ports.objects.delete(record_key(plan.video_id, piece))
        await ports.objects.delete_prefix(unfinished_prefix(plan.video_id, piece))
    log.warning("video.gpu_away", video_id=str(video.id), pieces=len(dropped))
    return without
