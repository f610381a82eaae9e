"""The object store keeps what it acknowledged, on a folder and on a remote backend alike."""

import os
import threading
from pathlib import Path

import pytest

from storage.object_keys import ObjectKeyInvalid, check_key
from storage.objects import ObjectNotFound, ObjectStore
from tests.storage.object_contract import ObjectContract, write_half

pytestmark = pytest.mark.unit


class TestAFolderAndAMemory(ObjectContract):
    """The same contract on a folder and on a backend without paths."""

    @pytest.fixture(params=["local", "remote"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
        if request.param == "local":
            return ObjectStore.open(f"file://{tmp_path}/objects")
        return ObjectStore.open("memory:///")


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path):
    store = ObjectStore.open(f"file://{tmp_path}")
    with pytest.raises(ObjectNotFound):
        write_half(store)
    assert not store.exists_sync("whole/source")
    assert list((tmp_path / ".staging").iterdir()) == []


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "a/../b", "..", ".", "a//b", "a/", ".staging/x", "a/.hidden", "a\\b",
     "a\0b", "a b", "a#1", "ü", "x" * 513, "a\n"],
)  # fmt: skip
def test_a_key_that_could_leave_its_folder_is_refused(key: str):
    with pytest.raises(ObjectKeyInvalid):
        check_key(key)


def test_only_a_local_store_has_paths(tmp_path: Path):
    local = ObjectStore.open(f"file://{tmp_path}")
    assert local.local_path("a/b") == tmp_path / "a" / "b"
    assert ObjectStore.open("memory:///").local_path("a/b") is None


def test_a_folder_with_a_space_in_its_name_can_be_opened(tmp_path: Path):
    store = ObjectStore.open(f"file://{tmp_path}/my%20objects")
    store.put_sync("a/b", b"x")
    assert (tmp_path / "my objects" / "a" / "b").read_bytes() == b"x"


def test_a_write_is_synced_before_its_name_and_the_folders_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    events: list[str] = []
    sync, rename = os.fsync, Path.rename

    def note_fsync(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        events.append("file" if ".staging" in target.parts else str(target.relative_to(tmp_path)))
        sync(descriptor)

    def note_rename(path: Path, target: Path) -> Path:
        events.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "rename", note_rename)
    ObjectStore.open(f"file://{tmp_path}").put_sync("a/b/c", b"x")
    assert events == ["file", "rename", "a/b", "a", "."]


def test_writers_survive_a_folder_being_removed_under_them(tmp_path: Path):
    store = ObjectStore.open(f"file://{tmp_path}")
    stop = threading.Event()

    def sweep() -> None:
        while not stop.is_set():
            store.delete_prefix_sync("other/1")

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for n in range(50):
            store.put_sync(f"other/1/{n}", b"x")
    finally:
        stop.set()
        sweeper.join()


def test_staged_files_of_dead_writers_are_swept(tmp_path: Path):
    store = ObjectStore.open(f"file://{tmp_path}")
    left = tmp_path / ".staging" / "dead"
    left.write_bytes(b"half")
    os.utime(left, (1000, 1000))  # as a file is that was written long ago and linked just now
    written_s = left.stat().st_ctime
    assert store.sweep_staging_sync(older_than_s=60, now_s=written_s + 59) == 0
    assert store.sweep_staging_sync(older_than_s=60, now_s=written_s + 61) == 1
    assert not left.exists()
