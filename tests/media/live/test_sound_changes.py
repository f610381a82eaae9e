"""Sound whose format changes while its picture goes on: nobody gets it under another one's init."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from media.cmaf import read_fragment
from media.live.fragments import AUDIO, VIDEO
from media.live.packager import Packager, PackagerTerms
from media.live.packets import OPUS_FORMAT
from media.live.playlists import LivePlaylists
from media.live.samples import VIDEO_TIMESCALE, AudioFormat, AudioSample, VideoFormat, VideoSample
from media.live.window import Entry, LiveWindow, PublisherSink
from media.rtmp.frames import read_audio_config
from media.rtmp.tags import AudioConfig
from tests.media.live.configurations import AVC
from tests.media.live.programme import EPOCH, check_contiguous
from tests.media.playlist_reading import Listing, read_playlist

pytestmark = pytest.mark.unit

STEREO_48, MONO_44 = (
    read_audio_config(AudioConfig("AAC", bytes.fromhex(record))) for record in ("1190", "1208")
)
PICTURE = VideoFormat(320, 180, AVC)
FPS = 25
HEARD = b"heard"


@dataclass
class Show:
    """A publisher with a keyframe each two seconds; `run` sends some of its time."""

    audio: AudioFormat = STEREO_48
    has_sound: bool = True
    lead_s: float = 0.0
    """How far sound comes before the picture of its moment."""
    window: LiveWindow = field(default_factory=lambda: LiveWindow(EPOCH, lambda: None))
    whole: list[int] = field(default_factory=list)
    pictures: int = 0
    heard_s: float = 0.0

    def __post_init__(self) -> None:
        terms = PackagerTerms(0, 0, self.has_sound, False, self.audio)
        sink = PublisherSink(self.window, "1", self.whole.append)
        self.packager = Packager(terms, sink, lambda: None)

    def run(self, seconds: float, audio: AudioFormat | None) -> None:
        """Send pictures, and sound in a format."""
        for _ in range(round(seconds * FPS)):
            at = self.pictures * VIDEO_TIMESCALE // FPS
            is_key = self.pictures % (2 * FPS) == 0
            self.packager.add_video(VideoSample(PICTURE, b"\0\0\0\1\x41", at, at, is_key))
            self.pictures += 1
            self._speak(self.pictures / FPS + self.lead_s, audio)

    def _speak(self, until_s: float, audio: AudioFormat | None) -> None:
        while audio is not None and self.heard_s < until_s:
            rate_hz, length = audio.sample_rate_hz, audio.frame_ticks
            sample = AudioSample(audio, HEARD, round(self.heard_s * rate_hz), length)
            self.packager.add_audio(sample)
            self.heard_s += length / rate_hz
        self.heard_s = max(self.heard_s, until_s)

    def read(self, track: str) -> Listing:
        text = LivePlaylists(self.window).render(track, is_delta=False).body.decode()
        return read_playlist(text)

    def list_sounds(self) -> list[Entry]:
        return [entry for entry in self.window.list_entries(AUDIO) if entry.is_whole]


def list_frames(entry: Entry) -> list[bytes]:
    return [sample.data for part in entry.parts for sample in read_fragment(part.data)[1]]


def check(show: Show) -> None:
    """Both tracks run on under the same numbers, and no frame is in a segment of another format."""
    for track in (VIDEO, AUDIO):
        check_contiguous(show.window, track)
    pictures, sounds = (show.window.list_entries(track) for track in (VIDEO, AUDIO))
    marks = [[entry.is_discontinuous for entry in entries] for entries in (pictures, sounds)]
    assert marks[0][: len(marks[1])] == marks[1]
    for before, after in pairwise(sounds):
        assert after.start_s == pytest.approx(before.start_s + before.duration_s, abs=0.06)
    for picture, sound in zip(pictures, sounds, strict=False):
        assert sound.start_s == pytest.approx(picture.start_s, abs=0.25)


@pytest.mark.parametrize("lead_s", [0.0, 0.2, -0.2])
def test_another_rate_begins_at_a_keyframe_with_an_init_of_its_own(lead_s: float) -> None:
    show = Show(lead_s=lead_s)
    show.run(5, STEREO_48)
    show.run(5, MONO_44)
    check(show)
    sounds = show.list_sounds()
    assert [e.init.timescale for e in sounds] == [48_000] * 3 + [44_100]
    assert [e.init.channels for e in sounds] == [2] * 3 + [1]
    assert [e.is_discontinuous for e in sounds] == [False] * 3 + [True]
    for track, inits in ((AUDIO, ["init0", "init1"]), (VIDEO, ["init0"])):
        listed = read_inits(show.read(track))
        assert listed == [f"1/{name}.mp4" for name in inits]
    # Silence in the old format stands in from the change to the keyframe at 6 s.
    silent = list_frames(sounds[2])
    assert silent.count(STEREO_48.silence) == pytest.approx((1 - lead_s) * 48_000 / 1024, abs=2)
    assert set(silent) == {HEARD, STEREO_48.silence}
    assert list_frames(sounds[3]).count(HEARD) > 1.7 * 44_100 / 1024


def read_inits(listing: Listing) -> list[str]:
    return list(dict.fromkeys(segment.init for segment in listing.segments if segment.init))


def test_sound_that_comes_after_all_is_heard_in_its_own_format() -> None:
    show = Show(OPUS_FORMAT, has_sound=False)
    show.run(3, None)
    show.run(4, STEREO_48)
    check(show)
    assert [e.init.codec for e in show.list_sounds()] == ["opus", "opus", "mp4a.40.2"]
    assert set(list_frames(show.list_sounds()[1])) == {OPUS_FORMAT.silence}
    assert HEARD in list_frames(show.list_sounds()[2])


def test_sound_that_came_before_the_first_picture_needs_no_discontinuity() -> None:
    show = Show(OPUS_FORMAT, has_sound=False)
    show.packager.add_audio(AudioSample(STEREO_48, HEARD, 0, 1024))
    show.run(5, STEREO_48)
    check(show)
    assert [e.init.codec for e in show.list_sounds()] == ["mp4a.40.2"] * 2
    assert not any(e.is_discontinuous for e in show.list_sounds())


def test_a_format_that_comes_back_has_the_init_it_had() -> None:
    show = Show()
    for audio in (STEREO_48, MONO_44, STEREO_48):
        show.run(4, audio)
    show.run(1, STEREO_48)
    check(show)
    names = [e.init_name.removeprefix("1/") for e in show.list_sounds()]
    assert names == ["init0.mp4"] * 3 + ["init1.mp4"] * 2 + ["init0.mp4"]
    assert sum(e.is_discontinuous for e in show.list_sounds()) == 2


def test_a_change_that_is_over_before_the_next_keyframe_is_silence_alone() -> None:
    show = Show()
    for seconds, audio in ((2.5, STEREO_48), (1, MONO_44), (3, STEREO_48)):
        show.run(seconds, audio)
    check(show)
    assert not any(e.is_discontinuous for e in show.list_sounds())
    assert list_frames(show.list_sounds()[1]).count(STEREO_48.silence) > 40


def test_a_change_beside_an_interruption_is_one_discontinuity() -> None:
    show = Show()
    show.run(4.5, STEREO_48)
    show.run(0.5, MONO_44)
    show.packager.break_off()
    show.run(4, MONO_44)
    assert [e.init.timescale for e in show.list_sounds()] == [48_000] * 3 + [44_100]
    assert [e.is_discontinuous for e in show.list_sounds()] == [False] * 3 + [True]
