"""A probe tells the truth about a file, or refuses it with a reason its owner understands."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import psutil
import pytest

from media.vod.info import MediaInfo, decode_json, encode_json
from media.vod.probe import ChildLimits, ProbeJob, probe_file, probe_in_child, probe_source
from media.vod.source import MediaUnreadable
from storage.objects import ObjectStore
from tests.media.vod.clips import Shot, run_ffmpeg, write_numbered

pytestmark = pytest.mark.media

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=320x180:r=30:d=3")
SOUND = ("-f", "lavfi", "-i", "sine=d=3:r=44100")
H264 = ("-c:v", "libx264", "-preset", "ultrafast")
AAC = ("-c:a", "aac", "-ac", "2")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a sound, ordinary file with its index in front."""
    path = tmp_path_factory.mktemp("clips") / "plain.mp4"
    run_ffmpeg(*PICTURE, *SOUND, *H264, *AAC, "-movflags", "+faststart", path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(MediaUnreadable) as caught:
        probe_file(path)
    return caught.value.text


def test_the_child_imports_no_more_than_a_probe_needs():
    code = "import sys, media.vod.probe; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert {"numpy", "structlog", "asyncio", "obstore"} & set(found.split()) == set()


def test_an_ordinary_file_is_described(clip: Path):
    info = probe_file(clip)
    assert "mp4" in info.container
    assert info.picture_s == pytest.approx(3.0, abs=0.001)
    assert info.duration_s == pytest.approx(3.0, abs=0.06)
    assert info.origin_us == 0
    assert info.size_bytes == clip.stat().st_size
    video = info.video
    assert (video.codec, video.pix_fmt) == ("h264", "yuv420p")
    assert (video.width, video.height) == (320, 180)
    assert (video.coded_width, video.coded_height) == (320, 180)
    assert (video.rotation_deg, video.mirrored, video.sar, video.fps) == (0, False, 1, 30)
    assert video.bit_rate_bps is not None
    assert info.audio is not None
    assert (info.audio.codec, info.audio.sample_rate_hz, info.audio.channels) == ("aac", 44100, 2)
    assert info.warnings == ()


def test_the_child_says_the_same_and_survives_json(clip: Path, objects: ObjectStore):
    info = probe_file(clip)
    assert probe_in_child(clip) == info
    assert decode_json(encode_json(info), MediaInfo) == info
    objects.put_file_sync("sources/x", clip)
    assert probe_source(ProbeJob("v", "sources/x"), objects) == info


def test_a_phone_held_upright_is_described_as_displayed(clip: Path, tmp_path: Path):
    with av.open(str(tmp_path / "a.mov"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.set_display_rotation(-90)
        with av.open(str(clip)) as source:
            for frame in source.decode(video=0):
                container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    video = probe_file(tmp_path / "a.mov").video
    assert (video.width, video.height, video.rotation_deg) == (180, 320, 90)
    assert (video.coded_width, video.coded_height) == (320, 180)


def test_wide_pixels_are_counted_into_the_size(tmp_path: Path):
    run_ffmpeg(*PICTURE, "-vf", "scale=180:144,setsar=16/11", *H264, tmp_path / "a.mp4")
    video = probe_file(tmp_path / "a.mp4").video
    assert (video.width, video.height, video.sar) == (262, 144, Fraction(16, 11))


def test_a_file_without_sound_has_none(tmp_path: Path):
    run_ffmpeg(*PICTURE, *H264, tmp_path / "a.mp4")
    assert probe_file(tmp_path / "a.mp4").audio is None


def test_a_tiny_picture_is_fine_and_a_speck_is_not(tmp_path: Path):
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x90:d=1", *H264, tmp_path / "a.mp4")
    assert probe_file(tmp_path / "a.mp4").video.height == 90
    run_ffmpeg("-f", "lavfi", "-i", "color=s=8x8:d=1", *H264, tmp_path / "b.mp4")
    assert "smaller than 16" in refusal(tmp_path / "b.mp4")


def test_a_picture_that_would_fill_the_memory_is_not_decoded(tmp_path: Path):
    wide = ("-f", "lavfi", "-i", "color=black:s=16000x5000:r=5:d=0.2")
    run_ffmpeg(*wide, "-c:v", "mjpeg", tmp_path / "a.mov")
    assert "has more than 67 million pixels" in refusal(tmp_path / "a.mov")
    small = ("-f", "lavfi", "-i", "color=black:s=8200x100:r=5:d=0.2")
    run_ffmpeg(*small, *H264, tmp_path / "b.mp4")
    assert refusal(tmp_path / "b.mp4") == "The picture is larger than 8192 pixels."


def test_a_variable_rate_is_taken_for_the_rate_it_mostly_keeps(tmp_path: Path):
    kept = [n for n in range(200) if n % 5 and not 60 < n < 130]
    write_numbered(tmp_path / "a.mp4", [Fraction(n, 30) for n in kept])
    info = probe_file(tmp_path / "a.mp4")
    assert info.video.fps == 30
    assert info.duration_s == pytest.approx(200 / 30, abs=0.05)


def test_a_recording_without_a_length_is_measured(tmp_path: Path):
    command = ["ffmpeg", "-v", "error", *PICTURE, *SOUND, *H264, "-c:a", "libopus"]
    command += ["-f", "matroska", "-"]
    encode = subprocess.run(command, check=True, capture_output=True, timeout=60)
    path = tmp_path / "a.mkv"
    path.write_bytes(encode.stdout)
    with av.open(str(path)) as container:
        assert container.duration is None
    assert probe_file(path).duration_s == pytest.approx(3.0, abs=0.06)


def test_an_empty_file_is_called_empty(tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(b"")
    assert refusal(tmp_path / "a.mp4") == "The file is empty."


@pytest.mark.parametrize(
    "data", [b"hello, this is a letter\n" * 200, bytes(range(256)) * 400, b"\0" * 5000]
)
def test_something_else_is_called_that(data: bytes, tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(data)
    assert "not of a kind we can read" in refusal(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", ["a.mp3", "a.wav", "a.m4a", "a.flac", "a.ogg", "a.aac"])
def test_sound_alone_is_described(name: str, tmp_path: Path):
    run_ffmpeg(*SOUND, tmp_path / name)
    info = probe_file(tmp_path / name)
    assert (info.video, info.cover_index, info.warnings) == (None, None, ())
    assert info.audio is not None
    assert info.audio.sample_rate_hz == 44_100
    assert info.duration_s == pytest.approx(3.0, abs=0.08)


def test_half_a_sound_file_says_how_much_is_there(tmp_path: Path):
    tone = ("-f", "lavfi", "-i", "sine=d=20")
    run_ffmpeg(*tone, "-movflags", "+faststart", tmp_path / "whole.m4a")
    data = (tmp_path / "whole.m4a").read_bytes()
    (tmp_path / "a.m4a").write_bytes(data[: len(data) // 2])
    assert "truncated" in refusal(tmp_path / "a.m4a")


def test_sound_alone_that_cannot_be_decoded_is_refused(tmp_path: Path):
    run_ffmpeg(*SOUND, "-c:a", "flac", tmp_path / "whole.mkv")
    with av.open(str(tmp_path / "whole.mkv")) as source:
        blocks = [bytes(p) for p in source.demux(audio=0) if p.size]
    data = (tmp_path / "whole.mkv").read_bytes()
    for block in blocks:
        data = data.replace(block, b"\x55" * len(block))
    (tmp_path / "a.mkv").write_bytes(data)
    assert "sound cannot be decoded" in refusal(tmp_path / "a.mkv")


def test_a_cut_file_with_its_index_in_front_says_how_much_is_there(clip: Path, tmp_path: Path):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=30:d=10", *H264),
        *("-movflags", "+faststart", tmp_path / "whole.mp4"),
    )
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[: len(data) // 2])
    text = refusal(tmp_path / "a.mp4")
    assert text.startswith("The file is truncated: only ")
    assert "of 10.0 seconds" in text


def test_a_cut_file_with_its_index_at_the_end_says_what_is_missing(tmp_path: Path):
    run_ffmpeg(*PICTURE, *H264, tmp_path / "whole.mp4")
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[: len(data) * 3 // 4])
    assert "index (moov) is missing" in refusal(tmp_path / "a.mp4")


def test_a_cut_matroska_file_is_refused(tmp_path: Path):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=30:d=10", *H264, tmp_path / "whole.mkv")
    )
    data = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(data[: len(data) // 2])
    assert "truncated" in refusal(tmp_path / "a.mkv")


def test_a_picture_that_cannot_be_decoded_is_refused(tmp_path: Path):
    run_ffmpeg(*PICTURE, *H264, "-movflags", "+faststart", tmp_path / "a.mp4")
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = b"\xa5" * (len(data) - start)
    (tmp_path / "a.mp4").write_bytes(data)
    assert "cannot be decoded" in refusal(tmp_path / "a.mp4")


def test_sound_that_cannot_be_decoded_is_left_out_with_a_warning(tmp_path: Path):
    run_ffmpeg(*PICTURE, *SOUND, *H264, "-c:a", "flac", tmp_path / "whole.mkv")
    with av.open(str(tmp_path / "whole.mkv")) as source:
        blocks = [bytes(p) for p in source.demux(audio=0) if p.size]
    data = (tmp_path / "whole.mkv").read_bytes()
    for block in blocks:
        data = data.replace(block, b"\x55" * len(block))
    (tmp_path / "a.mkv").write_bytes(data)
    info = probe_file(tmp_path / "a.mkv")
    assert info.audio is None
    assert info.warnings == ("The sound (flac) cannot be decoded; it was left out.",)


def test_further_tracks_are_named_as_left_out(tmp_path: Path):
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    second = ("-f", "lavfi", "-i", "testsrc2=s=160x90:r=30:d=3")
    run_ffmpeg(
        *(*PICTURE, *SOUND, *SOUND, *SOUND, *second, "-i", tmp_path / "a.srt"),
        *("-map", "0", "-map", "1", "-map", "2", "-map", "3", "-map", "4", "-map", "5"),
        *("-metadata:s:a:1", "language=deu", "-metadata:s:a:2", "language=fra"),
        *(*H264, "-c:a:0", "aac", "-c:a:1", "libopus", "-c:a:2", "aac", tmp_path / "a.mkv"),
    )
    info = probe_file(tmp_path / "a.mkv")
    assert (info.video.stream_index, info.audio.stream_index) == (0, 1)
    assert info.warnings == (
        "1 further moving picture was left out: track 5 (h264).",
        "2 further sound tracks were left out: track 3 (deu, opus), track 4 (fra, aac).",
        "1 subtitle track was left out: track 6 (ass).",
    )


def test_many_further_tracks_are_counted_and_their_odd_words_are_not_repeated(tmp_path: Path):
    maps = [word for _ in range(9) for word in ("-map", "0")]
    odd = ("-metadata:s:a:1", "language=<b>")
    run_ffmpeg(*SOUND, *maps, *odd, "-c:a", "aac", tmp_path / "a.mka")
    (sentence,) = probe_file(tmp_path / "a.mka").warnings
    assert sentence.startswith("8 further sound tracks were left out: track 2 (aac), track 3")
    assert sentence.endswith("track 7 (aac) and 2 more.")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{clip}\n#EXT-X-ENDLIST\n"),
        ("a.ffconcat", "ffconcat version 1.0\nfile '{clip}'\n"),
        ("a.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"),
    ],
)
def test_a_file_that_points_at_other_files_is_refused(
    name: str, text: str, clip: Path, tmp_path: Path
):
    (tmp_path / name).write_text(text.format(clip=clip))
    assert "not of a kind we can read" in refusal(tmp_path / name)


def test_a_name_with_odd_characters_is_only_a_name(clip: Path, tmp_path: Path):
    odd = tmp_path / "concat:my %d | clip?.mp4"
    odd.write_bytes(clip.read_bytes())
    assert probe_in_child(odd).video.height == 180


def test_the_child_is_stopped_when_it_takes_too_long(clip: Path):
    before = set(psutil.Process().children())
    with pytest.raises(MediaUnreadable, match="too long"):
        probe_in_child(clip, ChildLimits(time_s=0.02))
    assert set(psutil.Process().children()) <= before


def test_the_child_may_not_take_more_memory_than_allowed(clip: Path):
    with pytest.raises(MediaUnreadable, match="more memory"):
        probe_in_child(clip, ChildLimits(memory_bytes=120 << 20))


def test_a_reason_crosses_from_the_child(tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(MediaUnreadable) as caught:
        probe_in_child(tmp_path / "a.mp4")
    assert caught.value.text == "The file is empty."


def test_an_old_mpeg4_avi_is_read(tmp_path: Path):
    shot = Shot(codec="mpeg4", rate=25, time_base=Fraction(1, 25), options=())
    write_numbered(tmp_path / "a.avi", [Fraction(n, 25) for n in range(50)], shot)
    info = probe_file(tmp_path / "a.avi")
    assert (info.container, info.video.fps, info.duration_s) == ("avi", 25, 2.0)
