"""A protected video: every task encrypts, players find the keys' place, and the key opens it."""

import hashlib
import io
import re
import subprocess
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import av
import av.error
import pytest

from media.cenc import build_pssh
from media.vod.plan import PlanOrder, TranscodePlan, plan_video
from media.vod.probe import probe_file
from media.vod.protection import ContentKeyUnknown, derive_key, make_key_id, open_key
from media.vod.publish import publish
from media.vod.recipe import Recipe
from media.vod.records import track_key
from media.vod.task_jobs import get_job
from storage.objects import ObjectStore
from tests.media.vod.clips import (
    SOURCE_KEY,
    VIDEO_ID,
    Made,
    run_ffmpeg,
    run_task,
    run_tasks,
    transcode,
    write_playlists,
)

pytestmark = pytest.mark.media

SECRET = "5ec7e7" * 10
KEY_ID = make_key_id(SECRET, VIDEO_ID, 1)
KEY = derive_key(SECRET, KEY_ID)
PROTECTED = Recipe(is_protected=True)
KEY_LINE = (
    f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="keys",KEYID=0x{KEY_ID},'
    'KEYFORMAT="org.w3.clearkey",KEYFORMATVERSIONS="1"'
)
COLOURS = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
KINDS = ("audio", "chunk", "copy")
MPD = "{urn:mpeg:dash:schema:mpd:2011}"
CENC = "{urn:mpeg:cenc:2013}"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCIALFLOW_AUTH_CONTENT_KEY", SECRET)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lend a source of three segments that could be passed on as it is."""
    made = tmp_path_factory.mktemp("clip") / "a.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=640x360:r=10:d=9", "-f", "lavfi", "-i", "sine=d=9"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "20", "-b:v", "300k", *COLOURS),
        *("-pix_fmt", "yuv420p", "-c:a", "aac", made),
    )
    assert plan_video(probe_file(made), PlanOrder(VIDEO_ID, SOURCE_KEY)).copied is not None
    return made


def plan_protected(path: Path, store: ObjectStore, segments_max: int = 1) -> TranscodePlan:
    store.put_file_sync(SOURCE_KEY, path)
    order = PlanOrder(VIDEO_ID, SOURCE_KEY, PROTECTED, key_id=KEY_ID)
    return plan_video(probe_file(path), order, segments_max=segments_max)


@pytest.fixture(scope="module")
def made(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Lend the protected video, whole; tests only read it."""
    store = ObjectStore.open(f"file://{tmp_path_factory.mktemp('objects')}")
    plan = plan_protected(path, store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCIALFLOW_AUTH_CONTENT_KEY", SECRET)
        return Made(plan, run_tasks(plan, store), store)


def hash_frames(data: bytes, key: str = "") -> list[str]:
    options = {"decryption_key": key} if key else {}
    with av.open(io.BytesIO(data), options=options) as container:
        frames = list(container.decode(container.streams[0]))
    return [hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest() for frame in frames]


def test_every_track_decodes_to_the_frames_of_the_same_video_unprotected(
    made: Made, path: Path, objects: ObjectStore
):
    plan = made.plan
    objects.put_file_sync(SOURCE_KEY, path)
    # The same pieces, without the key: what is made differs by the encryption alone.
    same = TranscodePlan(**{**vars(plan), "key_id": "", "recipe": Recipe()})
    plain = Made(same, run_tasks(same, objects, KINDS), objects)
    assert plan.copied is None, "the source's own slices are not encrypted"
    assert set(made.tracks) == {"240p", "360p", "audio"}
    for name in made.tracks:
        expected = hash_frames(plain.bytes_of(name))
        assert len(expected) >= 90
        assert hash_frames(made.bytes_of(name), KEY.key.hex()) == expected
        try:
            found = hash_frames(made.bytes_of(name), "00" * 16)
        except av.error.FFmpegError:
            continue
        assert not set(expected) & set(found)


def test_a_repeated_task_makes_the_same_bytes(made: Made, path: Path, objects: ObjectStore):
    plan = plan_protected(path, objects)
    again = Made(plan, run_tasks(plan, objects, KINDS), objects)
    for name in made.tracks:
        assert again.bytes_of(name) == made.bytes_of(name)
    for task_id, record in again.records.items():
        assert record == made.records[task_id]


def test_playlists_and_the_manifest_name_the_key_and_never_hold_it(made: Made):
    files = publish(made.plan, made.records).files
    for name in ("240p.m3u8", "360p.m3u8", "audio.m3u8", "240p-keys.m3u8"):
        lines = files[name].decode().splitlines()
        assert lines.count(KEY_LINE) == 1
        assert lines.index(KEY_LINE) < next(
            at for at, line in enumerate(lines) if line.startswith("#EXT-X-MAP")
        )
    manifest = ElementTree.fromstring(files["manifest.mpd"])
    sets = [
        group
        for group in manifest.iter(f"{MPD}AdaptationSet")
        if group.get("contentType") in ("video", "audio")
    ]
    assert len(sets) == 2
    known = "-".join(re.match(r"(.{8})(.{4})(.{4})(.{4})(.{12})", KEY_ID).groups())
    for group in sets:
        general, clearkey = group.findall(f"{MPD}ContentProtection")
        assert general.get("schemeIdUri") == "urn:mpeg:dash:mp4protection:2011"
        assert general.get("value") == "cbcs"
        assert clearkey.get("schemeIdUri") == "urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e"
        assert {general.get(f"{CENC}default_KID"), clearkey.get(f"{CENC}default_KID")} == {known}
    for data in files.values():
        assert KEY.key.hex().encode() not in data
    assert build_pssh(KEY.id) in made.store.get_sync(track_key(VIDEO_ID, "240p", "init.mp4"))


def test_a_growing_playlist_names_the_key_from_its_first_segment_on(made: Made):
    plan = made.plan
    records = {task_id: made.records[task_id] for task_id in ("first-00000", "audio")}
    published = publish(plan, records)
    assert published.is_playable
    assert published.key_id == KEY_ID
    text = published.files["240p.m3u8"].decode()
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in text
    assert KEY_LINE in text.splitlines()
    first = Made(plan, records, made.store)
    frames = hash_frames(first.bytes_of("240p"), KEY.key.hex())
    assert len(frames) == round(Fraction(4) * plan.grid.fps)


def test_the_picture_of_a_keyframes_playlist_decodes_by_itself(made: Made):
    segment = made.tracks["240p"].segments[1]
    init = made.store.get_sync(track_key(VIDEO_ID, "240p", "init.mp4"))
    data = made.store.get_sync(track_key(VIDEO_ID, "240p", "00001.m4s"))[: segment.key_bytes]
    found = hash_frames(init + data, KEY.key.hex())
    whole = hash_frames(made.bytes_of("240p"), KEY.key.hex())
    assert found[0] == whole[round(Fraction(4) * made.plan.grid.fps)]


def test_a_video_that_is_not_protected_says_nothing_of_keys(path: Path, objects: ObjectStore):
    made = transcode(path, objects, kinds=KINDS)
    published = publish(made.plan, made.records)
    assert published.key_id == ""
    for data in published.files.values():
        assert b"EXT-X-KEY" not in data
        assert b"ContentProtection" not in data
    assert b"encv" not in made.bytes_of("240p", [0])


def test_what_a_task_is_told_holds_the_keys_id_alone(made: Made):
    told = [repr(get_job(made.plan, task.task_id)) for task in made.plan.tasks]
    assert any(KEY_ID in each for each in told)
    assert not any(KEY.key.hex() in each or SECRET in each for each in told)
    assert KEY.key.hex() not in repr(KEY)
    assert repr(KEY.key) not in repr(KEY)


def test_a_machine_with_another_secret_refuses_to_make_a_key_of_its_own(
    monkeypatch: pytest.MonkeyPatch, path: Path, objects: ObjectStore
):
    assert open_key("") is None
    assert open_key(KEY_ID) == KEY
    for other in ("another", ""):
        monkeypatch.setenv("SOCIALFLOW_AUTH_CONTENT_KEY", other)
        with pytest.raises(ContentKeyUnknown):
            open_key(KEY_ID)
    plan = plan_protected(path, objects)
    with pytest.raises(ContentKeyUnknown):
        run_task(plan, objects, next(task for task in plan.tasks if task.kind == "chunk"))
    assert not objects.exists_sync(track_key(VIDEO_ID, "240p", "00000.m4s"))


def test_each_version_and_each_video_has_a_key_of_its_own():
    ids = {make_key_id(SECRET, video, version) for video in ("a", "b") for version in (1, 2)}
    assert len({derive_key(SECRET, each).key for each in ids}) == len(ids) == 4
    assert make_key_id(SECRET, "a", 1) == make_key_id(SECRET, "a", 1)
    assert make_key_id("another", "a", 1) != make_key_id(SECRET, "a", 1)


def test_another_player_plays_the_manifest_with_the_key_alone(made: Made):
    write_playlists(made.plan, made.records, made.store)
    manifest = made.store.local_path(f"videos/{VIDEO_ID}/manifest.mpd")
    assert manifest is not None
    for key, is_right in ((KEY.key.hex(), True), ("00" * 16, False)):
        command = ["ffmpeg", "-v", "error", "-nostdin", "-cenc_decryption_key", key]
        told = subprocess.run(
            [*command, "-i", str(manifest), "-map", "0", "-f", "null", "-"],
            check=False,
            capture_output=True,
            timeout=60,
        )
        assert (told.stderr == b"" and told.returncode == 0) is is_right
