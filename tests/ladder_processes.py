"""The processes that make the smaller pictures of lives."""

from __future__ import annotations

from collections.abc import Iterable

import psutil


def find_ladders(parents: Iterable[int]) -> set[int]:
    """Return those that these processes started."""
    found = set()
    for parent in parents:
        for child in psutil.Process(parent).children():
            try:
                if "media.live.ladder_child" in child.cmdline():
                    found.add(child.pid)
            except psutil.Error:
                continue  # it ended meanwhile
    return found
