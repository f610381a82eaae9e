"""Records mean one very process: pid, start time and boot must all match."""

import dataclasses
import os
import signal
import stat
from pathlib import Path

import pytest

from cluster.records import (
    RecordShelf,
    find_start_ticks,
    is_alive,
    make_record,
    read_boot_id,
    signal_record,
    write_private,
)

pytestmark = pytest.mark.unit


def make_own():
    record = make_record("me", os.getpid(), {"port": 1})
    assert record is not None
    return record


def test_this_process_is_alive():
    assert is_alive(make_own())


def test_the_same_pid_started_at_another_time_is_somebody_else():
    assert not is_alive(dataclasses.replace(make_own(), start_ticks=1))


def test_a_record_from_before_a_reboot_means_nobody():
    assert not is_alive(dataclasses.replace(make_own(), boot_id="another"))


def test_a_signal_reaches_nobody_when_the_record_is_of_another_process():
    stranger = dataclasses.replace(make_own(), start_ticks=1)
    assert signal_record(stranger, signal.SIGKILL) is False


def test_no_record_is_made_of_a_process_that_does_not_exist():
    assert find_start_ticks(2**22 + 1) is None
    assert make_record("gone", 2**22 + 1) is None


def test_the_boot_has_an_id():
    assert len(read_boot_id()) == 36


def test_a_shelf_keeps_finds_and_forgets(tmp_path: Path):
    shelf = RecordShelf(tmp_path)
    assert shelf.find("me") is None
    shelf.write(make_own())
    assert shelf.find("me") == make_own()
    assert shelf.find_alive("me") == make_own()
    shelf.write(dataclasses.replace(make_own(), start_ticks=1))
    assert shelf.find("me") is not None
    assert shelf.find_alive("me") is None
    shelf.remove("me")
    shelf.remove("me")
    assert shelf.find("me") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "me"}', '{"name":"me","colour":1}'])
def test_a_broken_record_is_no_record(tmp_path: Path, text: str):
    (tmp_path / "me.json").write_text(text)
    assert RecordShelf(tmp_path).find("me") is None


def test_private_files_are_for_their_owner_alone_also_when_they_were_open(tmp_path: Path):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]
