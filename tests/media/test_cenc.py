"""Encrypted tracks: boxes as the standards lay them out, and FFmpeg reads what was there before."""

import hashlib
import io
import struct
from pathlib import Path
from typing import Any

import av
import av.error
import pytest

from media.cenc import BLOCK_BYTES, ContentKey, TrackCipher, build_pssh, find_avc_config
from media.cmaf import AudioTrack, Sample, VideoTrack, build_fragment, build_init_segment
from tests.media.test_cmaf import boxes
from tests.media.vod.clips import run_ffmpeg

pytestmark = pytest.mark.media

KEY = ContentKey(bytes(range(16)), bytes(range(100, 116)))
WRONG = bytes(16).hex()
SYSTEM = bytes.fromhex("1077efecc0b24d02ace33c1e52e2fb4b")


class Clip:
    """The packets of a short clip, plain and encrypted, as init segment and one fragment."""

    def __init__(self, path: Path) -> None:
        run_ffmpeg(
            *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=3", "-f", "lavfi", "-i", "sine=d=3"),
            *("-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-c:a", "aac", path),
        )
        with av.open(str(path)) as container:
            picture, sound = container.streams.video[0], container.streams.audio[0]
            packets = [packet for packet in container.demux(picture, sound) if packet.size]
            self.pictures = [
                Sample(bytes(it), it.duration, it.pts - it.dts, it.is_keyframe)
                for it in packets
                if it.stream is picture
            ]
            self.sounds = [Sample(bytes(it), 1024) for it in packets if it.stream is sound]
            config = bytes(picture.codec_context.extradata or b"")
            rate = sound.rate
            self.picture_init = build_init_segment(
                VideoTrack(picture.time_base.denominator, 320, 180, config, 1024)
            )
            self.sound_init = build_init_segment(
                AudioTrack("aac", rate, rate, 1, bytes(sound.codec_context.extradata or b""))
            )
        self.config = config

    def encrypt(self, kind: str, key: ContentKey = KEY) -> bytes:
        cipher = TrackCipher(key, kind)
        if kind == "picture":
            made = cipher.encrypt_pictures(self.pictures, self.config)
            init = cipher.protect_init(self.picture_init)
        else:
            made = cipher.encrypt_sound(self.sounds)
            init = cipher.protect_init(self.sound_init)
        return init + build_fragment(
            made.samples,
            number=1,
            base_ticks=0,
            is_video=kind == "picture",
            clear_maps=made.clear_maps,
        )

    def write(self, kind: str) -> bytes:
        init, samples = (
            (self.picture_init, self.pictures)
            if kind == "picture"
            else (self.sound_init, self.sounds)
        )
        is_video = kind == "picture"
        return init + build_fragment(samples, number=1, base_ticks=0, is_video=is_video)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return Clip(tmp_path_factory.mktemp("clip") / "a.mp4")


def hash_frames(data: bytes, key: str = "") -> list[str]:
    """Decode all frames; hash each."""
    options = {"decryption_key": key} if key else {}
    with av.open(io.BytesIO(data), options=options) as container:
        frames: list[Any] = list(container.decode(container.streams[0]))
    return [hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest() for frame in frames]


@pytest.mark.parametrize("kind", ["picture", "sound"])
def test_with_the_key_ffmpeg_decodes_the_very_same_frames(clip: Clip, kind: str):
    plain = hash_frames(clip.write(kind))
    assert len(plain) >= 75
    assert hash_frames(clip.encrypt(kind), KEY.key.hex()) == plain


@pytest.mark.parametrize("kind", ["picture", "sound"])
@pytest.mark.parametrize("key", ["", WRONG], ids=["no key", "a wrong key"])
def test_without_the_key_hardly_a_frame_is_what_it_was(clip: Clip, kind: str, key: str):
    plain = set(hash_frames(clip.write(kind)))
    try:
        found = hash_frames(clip.encrypt(kind), key)
    except av.error.FFmpegError:
        return  # it gave up
    assert not plain & set(found)


def test_the_same_samples_are_the_same_bytes_and_tracks_have_vectors_of_their_own(clip: Clip):
    assert clip.encrypt("picture") == clip.encrypt("picture")
    assert TrackCipher(KEY, "240p").vector != TrackCipher(KEY, "audio").vector
    other = ContentKey(bytes(reversed(range(16))), KEY.key)
    assert TrackCipher(other, "240p").vector != TrackCipher(KEY, "240p").vector


@pytest.mark.parametrize(
    ("kind", "entry", "was", "pattern"),
    [("picture", b"encv", b"avc1", 0x19), ("sound", b"enca", b"mp4a", 0)],
)
def test_an_init_segment_says_how_its_track_is_encrypted(
    clip: Clip, kind: str, entry: bytes, was: bytes, pattern: int
):
    found = boxes(clip.encrypt(kind))
    table = found["/moov/trak/mdia/minf/stbl/stsd"]
    assert table[12:16] == entry
    (size,) = struct.unpack_from(">I", table, 8)
    assert size == len(table) - 8
    sinf = table[table.index(b"sinf") + 4 :]
    parts = boxes(sinf)
    assert parts["/frma"] == was
    assert parts["/schm"] == b"\0\0\0\0cbcs\0\1\0\0"
    tenc = boxes(parts["/schi"])["/tenc"]
    vector = TrackCipher(KEY, kind).vector
    assert tenc == b"\1\0\0\0" + bytes([0, pattern, 1, 0]) + KEY.id + b"\x10" + vector
    assert found["/moov/pssh"] == b"\1\0\0\0" + SYSTEM + b"\0\0\0\1" + KEY.id + b"\0\0\0\0"
    assert build_pssh(KEY.id)[8:] == found["/moov/pssh"]
    assert KEY.key not in clip.encrypt(kind)


def test_a_fragment_says_which_bytes_are_readable_and_where_that_is_said(clip: Clip):
    data = clip.encrypt("picture")
    moof = data.index(b"moof") - 4
    found = boxes(data)
    count = len(clip.pictures)
    senc = found["/moof/traf/senc"]
    assert struct.unpack_from(">II", senc) == (2, count)
    saio = struct.unpack(">III", found["/moof/traf/saio"])
    assert saio[:2] == (0, 1)
    assert data[moof + saio[2] :].startswith(senc[8:])
    saiz = found["/moof/traf/saiz"]
    even, samples = struct.unpack_from(">BI", saiz, 4)
    sizes = list(saiz[9:]) if not even else [even] * samples
    assert samples == count
    assert sum(sizes) == len(senc) - 8
    at = 8
    for sample in clip.pictures:
        (entries,) = struct.unpack_from(">H", senc, at)
        spans = [struct.unpack_from(">HI", senc, at + 2 + 6 * n) for n in range(entries)]
        assert sum(clear + hidden for clear, hidden in spans) == len(sample.data)
        at += 2 + 6 * entries


def test_one_block_of_ten_of_a_slice_is_encrypted_and_nothing_before_it(clip: Clip):
    made = TrackCipher(KEY, "picture").encrypt_pictures(clip.pictures, clip.config)
    assert find_avc_config(clip.picture_init) == clip.config
    for plain, hidden, clear_map in zip(clip.pictures, made.samples, made.clear_maps, strict=True):
        assert len(plain.data) == len(hidden.data)
        at = 0
        for entry in range(int.from_bytes(clear_map[:2], "big")):
            clear, size = struct.unpack_from(">HI", clear_map, 2 + 6 * entry)
            assert plain.data[at : at + clear] == hidden.data[at : at + clear]
            at += clear
            for block in range(size // BLOCK_BYTES):
                span = slice(at + block * BLOCK_BYTES, at + (block + 1) * BLOCK_BYTES)
                assert (plain.data[span] == hidden.data[span]) is (block % 10 != 0)
            rest = slice(at + size - size % BLOCK_BYTES, at + size)
            assert plain.data[rest] == hidden.data[rest]
            at += size


def test_sound_has_no_map_and_every_whole_block_of_it_is_encrypted(clip: Clip):
    made = TrackCipher(KEY, "sound").encrypt_sound(clip.sounds)
    assert made.clear_maps == ()
    for plain, hidden in zip(clip.sounds, made.samples, strict=True):
        whole = len(plain.data) // BLOCK_BYTES * BLOCK_BYTES
        assert plain.data[whole:] == hidden.data[whole:]
        for at in range(0, whole, BLOCK_BYTES):
            assert plain.data[at : at + BLOCK_BYTES] != hidden.data[at : at + BLOCK_BYTES]


def test_what_is_readable_may_be_longer_than_one_entry_can_say(clip: Clip):
    notes = bytes([6]) + bytes(70_000)  # supplemental information, which stays as it is
    first = clip.pictures[0]
    long = Sample(struct.pack(">I", len(notes)) + notes + first.data, 1, is_key=True)
    made = TrackCipher(KEY, "picture").encrypt_pictures([long], clip.config)
    (clear_map,) = made.clear_maps
    assert int.from_bytes(clear_map[:2], "big") >= 2
    assert struct.unpack_from(">HI", clear_map, 2) == (0xFFFF, 0)
    assert made.samples[0].data.startswith(long.data[: 4 + len(notes)])
