"""Where a video plays: the addresses of its playlists, pictures and files, as its viewer gets them.

Routes of videos and feeds call it. Pure; the edge answers below these addresses.
"""

from __future__ import annotations

from dataclasses import dataclass

from serve_apps.access.playback import PlaybackTerms, make_video_base
from storage.videos import Video


@dataclass(frozen=True)
class Playback:
    """Where a video plays, as absolute addresses on an edge."""

    hls: str
    dash: str | None
    thumbnail: str | None
    preview: str | None
    """A few silent seconds as MP4."""
    storyboard: str | None
    """A WebVTT track of small pictures for scrubbing."""
    waveform: str | None
    """Of sound alone: its peaks as JSON."""
    download: str | None
    """The best quality as one MP4 file."""


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
    is_made = video.status == "ready" and not video.is_recording
    is_sound = is_made and video.width is None and video.duration_ms is not None
    has_pictures = is_made or (video.is_recording and video.thumbnail_key is not None)
    return Playback(
        hls=f"{base}/master.m3u8",
        dash=f"{base}/manifest.mpd" if is_made else None,
        thumbnail=_make_thumbnail_url(base, video.thumbnail_key),
        preview=f"{base}/preview.mp4" if video.has_preview else None,
        storyboard=f"{base}/storyboard.vtt" if has_pictures and not is_sound else None,
        waveform=f"{base}/waveform.json" if is_sound else None,
        download=f"{base}/download/best.mp4{_name_version(video)}" if is_made else None,
    )


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
