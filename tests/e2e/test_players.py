"""Players that others wrote play what the media tasks make, from files alone: no product runs here.

A video of two rungs with sound, one that was passed on as it came, one each in VP9 and AV1 with
Opus, a recording of several parts, and a video that still grows: each from its start, after seeks
forwards and backwards, and to its end, without an error or a gap.
`test_outside_players.py` plays through the product, with rights and keys.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from cluster.bootstrap import PLAYERS, player_path
from media.live.recording import publish_recording
from media.vod.plan import TranscodePlan
from media.vod.publish import Publication
from media.vod.records import TaskRecord
from storage.objects import ObjectStore
from tests.e2e.elsewhere import serve_elsewhere
from tests.e2e.test_outside_players import DASH_JS, LOOK, NATIVE, NEEDS_PLAYERS, SEEK, SHAKA
from tests.media.live.recorded_stage import Broadcast
from tests.media.vod.clips import VIDEO_ID, run_ffmpeg, transcode, write_playlists
from tests.media.vod.test_copying import film
from tests.product import await_true

pytestmark = [pytest.mark.browser, NEEDS_PLAYERS]

OpenPage = Callable[[], Page]

WEB = Path(__file__).resolve().parents[2] / "web"
HLS_JS = """([address]) => {
  const player = new Hls();
  player.on(Hls.Events.ERROR, (_event, fault) => {
    // Where a growing video ends for now, nothing more can be shown.
    if (fault.fatal || fault.details !== 'bufferStalledError') faults.push(fault.details);
  });
  player.attachMedia(document.querySelector('video'));
  player.loadSource(address);
}"""
HLS, DASH = "master.m3u8", "manifest.mpd"
WAYS = {
    "hls.js": (HLS_JS, HLS),
    "shaka-hls": (SHAKA, HLS),
    "shaka-dash": (SHAKA, DASH),
    "dash.js": (DASH_JS, DASH),
    "chromium": (NATIVE, HLS),
}
PLAY_FASTER = "() => { document.querySelector('video').playbackRate = 4; }"
PAUSE_PAST = """([at_s]) => {
  const video = document.querySelector('video');
  const look = () => {
    if (video.seeking || video.currentTime <= at_s) return;
    video.removeEventListener('timeupdate', look);
    video.pause();
  };
  video.addEventListener('timeupdate', look);
}"""
PLAY_FROM = """([at_s]) => {
  const video = document.querySelector('video');
  video.currentTime = at_s;
  video.play().catch(() => {});
}"""
SHOW_TILES = """async ([address, moments]) => {
  const player = new shaka.Player();
  await player.attach(document.querySelector('video'));
  await player.load(address);
  const [track] = player.getImageTracks();
  const found = [];
  for (const at of moments) found.push(await player.getThumbnails(track.id, at));
  const name = new URL('.', new URL(address, location.href)).href;
  return found.map((it) => [
    it.startTime, it.uris[0].replace(name, ''), it.positionX, it.positionY, it.width, it.height,
  ]);
}"""
CUE = re.compile(r"(\d+):(\d\d):(\d\d\.\d{3}) --> .*\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)")
SEGMENT = re.compile(r"/([^/]+)/\d+\.m4s$")
OPUS = {"preferredAudio": [{"codec": "opus"}]}
FPS = 10
STILL_S = 15.0
LENGTH_S, FITTING_S, SMALL_S, LAST_S = 17, 11, 9, 2
"""How long the videos are, and how much is left after the last seek."""
CASES = [
    *((way, kind) for kind in ("video", "copied", "recording") for way in WAYS),
    *((way, kind) for kind in ("vp9", "av1") for way in ("hls.js", "shaka-dash")),
]
CHUNKS_FIRST = {"hls.js": 1, "shaka-hls": 1, "chromium": 2}
"""How many chunks are there when a player of what grows begins: a segment, then two, then two.

Chromium refuses a list of fewer than three segments that is not ended.
"""


@dataclass(frozen=True)
class Film:
    """Something that was made, how long it is, and where it lies below the page."""

    folder: str
    length_s: float
    has_parts: bool = False
    """Players may begin a new buffer with each, or wherever they jump into it.

    dash.js drops a seek that comes while it goes over from one part to the next, Shaka can lose one
    while it waits for data, and then they stand still for good. So they are paused far from any
    part's end, and jump when nothing is under way. On a starved machine dash.js can still end in
    another part with nothing buffered and nothing on its way, until somebody jumps again.
    """
    seeks_s: tuple[float, float] = (6.5, 2.5)
    tracks: frozenset[str] = frozenset()
    """What alone players fetch of several that they could, if it is the same for all."""
    wishes: dict[str, Any] | None = None
    """What Shaka is told to prefer: by itself it takes AAC beside VP9 in DASH."""
    plan: TranscodePlan | None = None
    records: dict[str, TaskRecord] | None = None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The players, on a page that has nothing to do with the product."""
    folder = tmp_path_factory.mktemp("players")
    for package in PLAYERS:
        name = package.partition("@")[0]
        shutil.copyfile(player_path(Path(sys.prefix), package), folder / f"{name}.js")
    shutil.copyfile(WEB / "node_modules/hls.js/dist/hls.min.js", folder / "hls.js")
    return folder


@pytest.fixture(scope="module")
def video(folder: Path) -> Film:
    """Two rungs and sound, of five segments, the last one shorter."""
    source = folder / "source.mp4"
    run_ffmpeg(
        *(
            "-f",
            "lavfi",
            "-i",
            f"testsrc2=s=480x320:r={FPS}:d={LENGTH_S}",
            "-f",
            "lavfi",
            "-i",
            f"sine=d={LENGTH_S}",
        ),
        *("-c:v", "mpeg4", "-g", "10", "-c:a", "aac", source),
    )
    store = ObjectStore.open(f"file://{folder}/objects")
    made = transcode(source, store, segments_max=2)
    assert write_playlists(made.plan, made.records, store).rungs == ("240p", "320p")
    return Film(f"objects/videos/{VIDEO_ID}", LENGTH_S, plan=made.plan, records=made.records)


@pytest.fixture(scope="module")
def copied(folder: Path) -> Film:
    """A video whose largest rung is the file as it came, with pictures out of order."""
    store = ObjectStore.open(f"file://{folder}/copied")
    made = transcode(film(folder / "fitting.mp4", size="640x360"), store)
    assert made.plan.info.copyable is not None
    assert write_playlists(made.plan, made.records, store).rungs == ("240p", "360p")
    return Film(f"copied/videos/{VIDEO_ID}", FITTING_S)


@pytest.fixture(scope="module")
def vp9(folder: Path) -> Film:
    """A video that is lighter in VP9, which goes with Opus."""
    return make_newer(folder, "vp9", "testsrc2=s=320x240")


@pytest.fixture(scope="module")
def av1(folder: Path) -> Film:
    """A video that is lighter in AV1, which goes with Opus; the test picture is not."""
    return make_newer(folder, "av1", "gradients=s=320x240:speed=0.05:seed=1")


def make_newer(folder: Path, codec: str, picture: str) -> Film:
    store = ObjectStore.open(f"file://{folder}/{codec}")
    source = folder / f"{codec}.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"{picture}:r={FPS}:d={SMALL_S}"),
        *("-f", "lavfi", "-i", f"sine=d={SMALL_S}", "-c:v", "mpeg4", "-c:a", "aac", source),
    )
    made = transcode(source, store, codecs=(codec,))
    write_playlists(made.plan, made.records, store)
    tracks = frozenset({f"240p-{codec}", "audio-opus"})
    assert tracks < set(made.tracks)
    return Film(f"{codec}/videos/{VIDEO_ID}", SMALL_S, tracks=tracks, wishes=OPUS)


@pytest.fixture(scope="module")
def recording(folder: Path) -> Film:
    """Twelve seconds in three parts: the picture grows, then another publisher comes."""
    cast = Broadcast(ObjectStore.open(f"file://{folder}/live"), uuid.uuid4())
    cast.publish((192, 108), (256, 144))
    cast.publish((192, 108), offset_s=60)
    records = cast.run_tasks(str(uuid.uuid4()), cast.rows)
    publication = publish_recording(cast.rows, records)
    write_recording(publication, cast.store, folder / "recording")
    return Film("recording", 12, has_parts=True, seeks_s=(4.5, 0.5))


def write_recording(publication: Publication, store: ObjectStore, folder: Path) -> None:
    """Put a recording's files where its playlists name them, as the edge does by address."""
    for track, name in publication.keys:
        (folder / track).mkdir(parents=True, exist_ok=True)
        (folder / track / name).write_bytes(store.get_sync(publication.keys[track, name]))
    for name, data in publication.files.items():
        (folder / name).write_bytes(data)


@pytest.fixture(scope="module")
def elsewhere(folder: Path) -> Iterator[str]:
    with serve_elsewhere(folder) as url:
        yield url


@pytest.fixture
def open_elsewhere(chromium: Browser, contexts: list[BrowserContext], elsewhere: str) -> OpenPage:
    """Return a function that opens the page with the players on it."""

    def open_fresh() -> Page:
        context = chromium.new_context()
        contexts.append(context)
        page = context.new_page()
        page.goto(elsewhere)
        for name in ("hls", *(package.partition("@")[0] for package in PLAYERS)):
            page.add_script_tag(url=f"/{name}.js")
        page.evaluate("() => { globalThis.faults = []; }")
        return page

    return open_fresh


def await_past(page: Page, at_s: float, *, ask_again: bool = False) -> None:
    """Wait until the picture is past a moment; nothing may go wrong meanwhile.

    `ask_again`: it is asked for once more where the player threw all away and fetches nothing.
    """

    seen: dict[str, Any] = {}
    began_s, asked = time.monotonic(), False

    def is_past() -> bool:
        nonlocal asked
        seen.update(page.evaluate(LOOK))
        assert seen["faults"] == []
        has_waited = time.monotonic() - began_s > STILL_S and seen["buffered"] == []
        if ask_again and has_waited and not asked:
            asked = True
            print(f"asked for once more at {seen['at_s']}")
            page.evaluate(SEEK, [seen["at_s"]])
        return bool(seen["at_s"] > at_s)

    try:
        await_true(is_past, f"it plays on to {at_s}")
    except AssertionError as error:
        raise AssertionError(f"{error}; {seen}") from error


def is_calm(page: Page, film: Film) -> bool:
    """Whether it is paused, and all that follows is there."""
    seen = page.evaluate(LOOK)
    return bool(seen["paused"] and seen["buffered"] and seen["buffered"][-1][1] > film.length_s - 1)


def check_ends(page: Page, player: str, film: Film) -> None:
    """Wait for the end; all of it was shown, and all of it is there."""
    await_true(lambda: page.evaluate(LOOK)["ended"], "it comes to its end")
    seen = page.evaluate(LOOK)
    assert seen["faults"] == []
    assert seen["duration_s"] == pytest.approx(film.length_s, abs=0.15)
    assert seen["sound"] > 0
    if player is not NATIVE:  # it drops what is far away
        ((start_s, end_s),) = seen["buffered"]
        assert start_s <= (film.length_s - LAST_S if film.has_parts else 0.1)
        assert end_s == pytest.approx(seen["duration_s"], abs=0.1)


@pytest.mark.parametrize(("way", "kind"), CASES)
def test_a_player_plays_from_the_start_after_seeks_and_to_the_end(
    way: str, kind: str, open_elsewhere: OpenPage, request: pytest.FixtureRequest
):
    shown: Film = request.getfixturevalue(kind)
    (player, name), page = WAYS[way], open_elsewhere()
    asked: set[str] = set()
    page.on("request", lambda it: asked.update(SEGMENT.findall(it.url)))
    page.evaluate(player, [f"/{shown.folder}/{name}", "", shown.wishes])
    past_s, asks_again = 1.0, way == "dash.js" and shown.has_parts
    for at_s in (*shown.seeks_s, shown.length_s - LAST_S):
        if shown.has_parts:
            page.evaluate(PAUSE_PAST, [past_s])
        await_past(page, past_s, ask_again=asks_again)
        if shown.has_parts:
            await_true(lambda: is_calm(page, shown), f"paused past {past_s}, it has all data")
        page.evaluate(PLAY_FROM if shown.has_parts else SEEK, [at_s])
        past_s = at_s + 0.7
    await_past(page, past_s, ask_again=asks_again)
    check_ends(page, player, shown)
    assert page.evaluate(LOOK)["pictures"] > 3 * FPS
    assert shown.tracks in (frozenset(), asked)


@pytest.mark.parametrize(("kind", "name"), [("video", HLS), ("video", DASH), ("recording", HLS)])
def test_shaka_finds_the_pictures_for_scrubbing_that_the_track_names(
    kind: str, name: str, folder: Path, open_elsewhere: OpenPage, request: pytest.FixtureRequest
):
    shown: Film = request.getfixturevalue(kind)
    cues = CUE.findall((folder / shown.folder / "storyboard.vtt").read_text())
    wanted = [
        (int(hours) * 3600 + int(minutes) * 60 + float(seconds), sheet, *map(int, place))
        for hours, minutes, seconds, sheet, *place in cues
    ]
    moments = [start + 0.5 for start, *_place in wanted]
    seen = open_elsewhere().evaluate(SHOW_TILES, [f"/{shown.folder}/{name}", moments])
    assert [tuple(tile) for tile in seen] == wanted
    assert len(wanted) == -(-shown.length_s // 2)


@pytest.mark.parametrize("way", CHUNKS_FIRST)
def test_a_player_begins_while_the_video_is_made_and_plays_to_its_end(
    way: str, video: Film, folder: Path, open_elsewhere: OpenPage
):
    assert video.plan is not None
    assert video.records is not None
    store = ObjectStore.open(f"file://{folder}/objects")
    begun = {"audio", *(f"first-{n:05d}" for n in range(CHUNKS_FIRST[way]))}
    early = {name: record for name, record in video.records.items() if name in begun}
    (player, name), page = WAYS[way], open_elsewhere()
    try:
        assert "EVENT" in write_playlists(video.plan, early, store).files["240p.m3u8"].decode()
        page.evaluate(player, [f"/{video.folder}/{name}", ""])
        await_past(page, 1.0)
    finally:
        write_playlists(video.plan, video.records, store)
    if player is not NATIVE:  # it stands still for good where it comes to the end of what grows
        page.evaluate(PLAY_FASTER)
    check_ends(page, player, video)
    assert page.evaluate(LOOK)["pictures"] > 0.8 * LENGTH_S * FPS
