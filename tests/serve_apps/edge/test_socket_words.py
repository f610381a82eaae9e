"""Reading a client's words: what is malformed is refused and leaves nothing behind."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress

import pytest

from serve_apps.edge.socket_words import FrameMalformed, read_words

pytestmark = pytest.mark.unit


def test_reading_strange_words_keeps_no_memory() -> None:
    strange: list[str] = [
        "[" * 60_000,
        '{"type":' * 8_000,
        '{"type":"typing","room":' + "9" * 60_000 + "}",
        '{"type":"authenticate","token":"' + "x" * 60_000 + '"}',
        '{"type":"subscribe","channels":[' + ",".join(['"room:1"'] * 7_000) + "]}",
        '{"type":"chat_send","room":"\\ud800","client_id":"\\u0000","text":"\\udfff"}',
    ]

    def read_all() -> None:
        for text in strange:
            with suppress(FrameMalformed):
                read_words(text)

    read_all()
    tracemalloc.start()
    for _ in range(20):
        read_all()
    before, _peak = tracemalloc.get_traced_memory()
    for _ in range(200):
        read_all()
    after, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 64 << 10
