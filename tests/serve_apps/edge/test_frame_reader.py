"""The reader of WebSocket frames alone: every cut of the same bytes reads the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_apps.edge.frame_reader import FrameKind, FrameMessage, FrameReader, ProtocolBroken
from tests.serve_apps.edge.frame_client import close, frame
from tests.serve_apps.edge.protocol_cases import CASES, Case

pytestmark = pytest.mark.unit

READABLE = [case for case in CASES if sum(map(len, case.pieces)) < 200_000]
PLAIN = {FrameKind.TEXT, FrameKind.BINARY, FrameKind.PING}


def read(pieces: list[bytes], limit: int = 16 << 20) -> tuple[list[FrameMessage], int]:
    """Return what was read, and the code that the reader then refused with (0: it did not)."""
    reader = FrameReader(limit)
    messages: list[FrameMessage] = []
    for piece in pieces:
        try:
            messages.extend(reader.feed(piece))  # keeps what came before the refusal
        except ProtocolBroken as broken:
            return messages, broken.code
    return messages, 0


@pytest.mark.parametrize("case", READABLE, ids=lambda case: case.name)
def test_a_case_reads_the_same_whole_and_in_its_pieces(case: Case) -> None:
    whole = read([b"".join(case.pieces)])
    assert read(list(case.pieces)) == whole
    messages, code = whole
    assert code == (0 if case.code == 1000 else case.code)
    assert sum(message.kind in PLAIN for message in messages) == len(case.echoes)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_cut_of_a_conversation_reads_the_same(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(READABLE))
    stream = b"".join(case.pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(pieces) == read([stream])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=10))
def test_noise_is_read_or_refused_with_a_close_code(pieces: list[bytes]) -> None:
    _messages, code = read(pieces)
    assert code in (0, 1002, 1007, 1009)


def test_the_limit_holds_across_fragments() -> None:
    fits = frame(1, b"a" * 60, fin=False) + frame(0, b"b" * 40)
    assert read([fits], limit=100)[0][0].text == "a" * 60 + "b" * 40
    assert read([frame(1, b"a" * 60, fin=False) + frame(0, b"b" * 41)], limit=100)[1] == 1009


def test_a_close_carries_its_code_and_reason() -> None:
    assert read([close(4009, b"bye")])[0] == [FrameMessage(FrameKind.CLOSE, "bye", close_code=4009)]
