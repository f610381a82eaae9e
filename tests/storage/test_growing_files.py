"""An object that grows has one writer at a time, keeps what was acknowledged, and is not copied."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.growing_files import GrowingBusy, GrowingObject, adopt_object
from storage.objects import ObjectStore

pytestmark = pytest.mark.unit

KEY = "uploads/u/0000000000000000"
SOURCE = "videos/v/source"
HOLD = """
import sys, time
from storage.growing_files import GrowingObject
from storage.objects import ObjectStore
growing = GrowingObject.open(ObjectStore.open(sys.argv[1]), sys.argv[2], is_new=True)
growing.begin(0)
growing.append([b"abc"], is_durable=True)
print("held", flush=True)
time.sleep(60)
"""


def grow(store: ObjectStore, size_bytes: int, *chunks: bytes) -> GrowingObject:
    growing = GrowingObject.open(store, KEY, is_new=size_bytes == 0)
    assert growing is not None
    assert growing.begin(size_bytes)
    growing.append(chunks, is_durable=True)
    return growing


def test_what_is_appended_lies_behind_what_was_there(objects: ObjectStore):
    grow(objects, 0, b"abc", bytearray(b"de")).close()
    growing = grow(objects, 5, b"fgh")
    growing.append([b"i"], is_durable=False)
    growing.close()
    assert objects.get_sync(KEY) == b"abcdefghi"


def test_while_one_writes_nobody_else_may(objects: ObjectStore):
    first = grow(objects, 0, b"abc")
    with pytest.raises(GrowingBusy):
        GrowingObject.open(objects, KEY, is_new=False)
    first.close()
    grow(objects, 3, b"d").close()
    assert objects.get_sync(KEY) == b"abcd"


def test_a_killed_writer_keeps_nobody_out(tmp_path: Path):
    url = f"file://{tmp_path}/objects"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, url, KEY], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "held\n"
        with pytest.raises(GrowingBusy):
            GrowingObject.open(ObjectStore.open(url), KEY, is_new=False)
        writer.send_signal(signal.SIGKILL)
        writer.wait(60)
    grow(ObjectStore.open(url), 3, b"d").close()
    assert ObjectStore.open(url).get_sync(KEY) == b"abcd"


def test_who_goes_on_where_it_ended_need_not_ask_the_disk(objects: ObjectStore):
    grow(objects, 0, b"abc").close()
    growing = GrowingObject.open(objects, KEY, is_new=False)
    assert growing is not None
    assert [growing.begin_at_once(size_bytes) for size_bytes in (2, 4, 3)] == [False, False, True]
    growing.append([b"d"], is_durable=True)
    growing.close()
    assert objects.get_sync(KEY) == b"abcd"


def test_only_what_is_on_the_disk_is_closed_without_waiting_for_it(objects: ObjectStore):
    growing = grow(objects, 0, b"abc")
    growing.append([b"d"], is_durable=False)
    assert not growing.close_at_once()
    with pytest.raises(GrowingBusy):
        GrowingObject.open(objects, KEY, is_new=False)
    growing.append([], is_durable=True)
    assert growing.close_at_once()
    growing.close()
    growing = grow(objects, 4)
    growing.shorten(0)
    growing.append([], is_durable=True)
    assert not growing.close_at_once()  # nothing is no object
    growing.close()
    assert not objects.exists_sync(KEY)


def test_bytes_that_do_not_count_are_cut_off(objects: ObjectStore):
    objects.put_sync(KEY, b"abc and what no row acknowledges")
    grow(objects, 3, b"d").close()
    assert objects.get_sync(KEY) == b"abcd"


def test_what_is_taken_back_to_nothing_is_no_object(objects: ObjectStore):
    growing = grow(objects, 0, b"abc")
    growing.shorten(0)
    growing.close()
    assert not objects.exists_sync(KEY)


def test_only_an_object_that_holds_the_beginning_grows(objects: ObjectStore):
    assert GrowingObject.open(objects, KEY, is_new=False) is None
    objects.put_sync(KEY, b"abc")
    growing = GrowingObject.open(objects, KEY, is_new=True)
    assert growing is not None
    assert not growing.begin(4)
    growing.close()
    assert objects.get_sync(KEY) == b"abc"
    assert GrowingObject.open(ObjectStore.open("memory:///"), KEY, is_new=True) is None


def test_a_whole_object_gets_another_name_without_a_copy(objects: ObjectStore):
    grow(objects, 0, b"abc").close()
    assert adopt_object(objects, KEY, SOURCE, 3)
    assert adopt_object(objects, KEY, SOURCE, 3)  # again, after a kill between two steps
    paths = [objects.local_path(key) for key in (KEY, SOURCE)]
    inodes = {path.stat().st_ino for path in paths if path is not None}
    objects.delete_prefix_sync("uploads/u")
    assert (len(inodes), objects.get_sync(SOURCE)) == (1, b"abc")


def test_what_is_not_whole_or_still_open_is_not_taken(objects: ObjectStore):
    growing = grow(objects, 0, b"abc")
    assert not adopt_object(objects, KEY, SOURCE, 3)
    growing.close()
    assert not adopt_object(objects, KEY, SOURCE, 2)
    assert not adopt_object(objects, "uploads/u/none", SOURCE, 3)
    assert not adopt_object(ObjectStore.open("memory:///"), KEY, SOURCE, 3)
    assert not objects.exists_sync(SOURCE)
