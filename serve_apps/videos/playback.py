"""Where a video plays: the addresses of its playlists, pictures and files, as its viewer gets them.

Routes of videos and feeds call it. Pure; the edge answers below these addresses, but for the file,
to which the API leads (`download_routes.py`): its link is opened whenever somebody likes.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.vod.records import KEYS_NAME
from serve_apps.access.grants import DownloadPass, issue_pass
from serve_apps.access.playback import OPEN_VISIBILITIES, PlaybackTerms, make_video_base
from storage.videos import Video

REASONS = {
    "picture_changed": "The picture was sent in another codec midway, which one file cannot hold.",
    "sound_changed": "The sound was sent in another format midway, which one file cannot hold.",
    "too_many_formats": "The picture changed too often for one file.",
    "too_many_parts": "The broadcast was interrupted too often for one manifest.",
    "picture_unreadable": "No picture of it could be decoded.",
    "sound_not_converted": "Its sound could not be converted for players without Opus.",
    "picture_not_converted": "Smaller qualities of its picture could not be made.",
    "keyframes_rare": "Its encoder sent keyframes too rarely for smaller qualities of its picture: "
    "set the keyframe interval to 2 seconds.",
}
"""What is left out of a video, in its owner's words, by code."""


@dataclass(frozen=True)
class LeftOut:
    """What could not be made of a video, and why."""

    what: str
    code: str
    message: str


@dataclass(frozen=True)
class Playback:
    """Where a video plays, as absolute addresses on an edge; of the file, on the API."""

    hls: str
    dash: str | None
    thumbnail: str | None
    preview: str | None
    """A few silent seconds as MP4."""
    storyboard: str | None
    """A WebVTT track of small pictures for scrubbing."""
    waveform: str | None
    """Of sound alone: its peaks as JSON."""
    keys: str | None
    """Where the keys of a protected video are given out."""
    download: str | None
    """What leads to the best quality as one MP4 file; there is none of a protected video."""
    left_out: tuple[LeftOut, ...] = ()


def make_base(video: Video, terms: PlaybackTerms) -> str:
    """Return the address below which everything of a video lies, for this viewer."""
    return make_video_base(
        terms, video.id, visibility=video.visibility, access_version=video.access_version
    )


def build_playback(video: Video, terms: PlaybackTerms) -> Playback | None:
    """Return where the video plays for this viewer; None until it does."""
    if video.playable_at is None:
        return None
    base = make_base(video, terms)
    is_made = video.status == "ready"
    is_sound = is_made and video.width is None and video.duration_ms is not None

    def offer(what: str, path: str) -> str | None:
        return f"{base}/{path}" if is_made and what not in video.left_out else None

    return Playback(
        hls=f"{base}/master.m3u8",
        dash=offer("dash", "manifest.mpd"),
        thumbnail=_make_thumbnail_url(base, video.thumbnail_key),
        preview=f"{base}/preview.mp4" if video.has_preview else None,
        storyboard=None if is_sound else offer("storyboard", "storyboard.vtt"),
        waveform=f"{base}/waveform.json" if is_sound else None,
        keys=f"{base}/{KEYS_NAME}" if video.is_protected else None,
        download=_make_download_url(video, terms) if has_file(video) else None,
        left_out=tuple(
            LeftOut(what, code, REASONS.get(code, "It could not be made."))
            for what, code in sorted(video.left_out.items())
        ),
    )


def has_file(video: Video) -> bool:
    """Whether there is one file of the whole video."""
    is_made = video.playable_at is not None and video.status == "ready"
    return is_made and not video.is_protected and "download" not in video.left_out


def make_file_url(video: Video, terms: PlaybackTerms) -> str:
    """Return where an edge sends that file to this viewer, as long as a grant lives."""
    return f"{make_base(video, terms)}/download/best.mp4{_name_version(video)}"


def _make_download_url(video: Video, terms: PlaybackTerms) -> str:
    """Return what leads there; where not everybody may go, it says whose session asks."""
    url = f"{terms.site_url}/v1/videos/{video.id}/download"
    if video.visibility in OPEN_VISIBILITIES or terms.viewer is None:
        return url
    expires_at_s = terms.now.timestamp() + terms.auth.download_ttl_s
    viewer = terms.viewer
    order = DownloadPass(video.id, viewer.user_id, viewer.session_id, expires_at_s)
    return f"{url}?pass={issue_pass(terms.auth, order)}"


def _name_version(video: Video) -> str:
    """Caches keep files by address: another version's is another address."""
    return f"?v={video.version}" if video.version > 1 else ""


def _make_thumbnail_url(base: str, key: str | None) -> str | None:
    """Return the picture's address; one the owner chose later is another address for caches."""
    if key is None:
        return None
    folder, _, name = key.rpartition("/")
    version = f"?v={name.removesuffix('.jpg')}" if folder.endswith("/thumbnails") else ""
    return f"{base}/thumbnail.jpg{version}"
