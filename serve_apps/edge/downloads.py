"""A video as one MP4 file, sent from its stored segments: whole, or the range asked for.

`playback.py` calls it after it has decided who may watch. One segment at a time is in memory.
"""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from kit.errors import PermissionDenied
from media.live.fragments import VIDEO
from media.live.joining import plan_joined
from media.vod.download import Download, Piece, adapt_segment, plan_download
from media.vod.hls import Track
from media.vod.publish import Publication
from media.vod.records import AUDIO_TRACK, track_key
from serve_apps.edge.entity_tags import select_part
from serve_apps.edge.video_catalog import VideoUnknown
from storage.objects import ObjectStore

SUFFIX = ".mp4"
BEST = "best"
CACHE = "public, max-age=3600"


class DownloadProtected(PermissionDenied):
    """Its segments are encrypted, and players have the keys no longer than they play."""

    code, message = "download_protected", "This video is protected: no file of it is offered."


async def send_download(
    request: web.Request, objects: ObjectStore, video_id: str, publication: Publication
) -> web.StreamResponse:
    """Answer for /download/{rung}.mp4; raises VideoUnknown when there is no such whole rung,
    DownloadProtected.
    """
    if publication.key_id:
        raise DownloadProtected
    download = await _plan(objects, video_id, publication, request.match_info["name"])
    # A day's has tens of thousands of pieces: the edge's loop would stand still.
    tag = await asyncio.to_thread(download.hash_content)
    headers: dict[str, str] = {
        hdrs.CONTENT_TYPE: "video/mp4",
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{video_id}.mp4"',
        hdrs.CACHE_CONTROL: CACHE,
    }
    part = select_part(request, tag, download.size_bytes, headers)
    if isinstance(part, web.Response):
        return part
    response = web.StreamResponse(status=part.status, headers=part.headers)
    response.content_length = part.size_bytes
    await response.prepare(request)
    await _write(response, objects, download, range(part.first, part.stop))
    await response.write_eof()
    return response


async def _plan(
    objects: ObjectStore, video_id: str, publication: Publication, name: str
) -> Download:
    if not publication.is_playable:
        raise VideoUnknown
    wanted, sound = name.removesuffix(SUFFIX), publication.sound
    if publication.keys and name.endswith(SUFFIX):
        return await _plan_recording(objects, publication, wanted)
    rung = _find_rung(publication, wanted)
    if rung is None or not name.endswith(SUFFIX):
        raise VideoUnknown
    tracks = [rung] if sound in (None, rung) else [rung, sound]
    if not all(_is_one_piece(track) for track in tracks):
        raise VideoUnknown
    keys = [track_key(video_id, track.name, track.parts[0].init_name) for track in tracks]
    inits = [await objects.get(key) for key in keys]
    return plan_download(video_id, tracks, inits)


def _find_rung(publication: Publication, wanted: str) -> Track | None:
    """The picture of the wanted quality or name; of sound alone the sound itself, as the best."""
    rungs = [publication.tracks[name] for name in publication.rungs]
    if wanted == BEST:
        return rungs[-1] if rungs else publication.sound
    return next((rung for rung in rungs if wanted in (rung.quality, rung.name)), None)


async def _plan_recording(objects: ObjectStore, publication: Publication, wanted: str) -> Download:
    """Plan the one file of a recording, picture and sound as they came, once its header is made."""
    record, sound = publication.joined, publication.tracks[AUDIO_TRACK]
    picture = publication.tracks[VIDEO]
    if record is None or wanted not in (BEST, picture.quality, picture.name):
        raise VideoUnknown
    header = await objects.get(record.header_key)
    # A long live has tens of thousands of segments: the edge's loop would stand still.
    return await asyncio.to_thread(plan_joined, picture, sound, record, header, publication.keys)


def _is_one_piece(track: Track) -> bool:
    return track.is_whole and len({part.init_name for part in track.parts}) == 1


async def _write(
    response: web.StreamResponse, objects: ObjectStore, download: Download, wanted: range
) -> None:
    if wanted.start < len(download.header):
        await response.write(download.header[wanted.start : wanted.stop])
    for piece in download.pieces:
        if piece.start < wanted.stop and piece.start + piece.size_bytes > wanted.start:
            await response.write(await _read(objects, piece, wanted))


async def _read(objects: ObjectStore, piece: Piece, wanted: range) -> bytes:
    data = adapt_segment(await objects.get(piece.key), piece)
    return data[max(0, wanted.start - piece.start) : wanted.stop - piece.start]
