"""Chunks become pieces of the right size, whatever they came in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.upload_piece import SMALL_BYTES, Piece

pytestmark = pytest.mark.unit


@given(st.lists(st.binary(min_size=1, max_size=40)), st.integers(1, 16))
def test_pieces_are_of_one_size_and_nothing_is_lost(chunks: list[bytes], size_bytes: int):
    piece = Piece(size_bytes)
    whole = [b"".join(done) for chunk in chunks for done in piece.add(chunk)]
    assert {len(one) for one in whole} <= {size_bytes}
    rest = b"".join(piece.chunks)
    assert len(rest) < size_bytes
    assert b"".join([*whole, rest]) == b"".join(chunks)


def test_a_body_that_comes_byte_by_byte_costs_few_objects():
    piece = Piece(4 * SMALL_BYTES)
    for _ in range(3 * SMALL_BYTES):
        assert list(piece.add(b"x")) == []
    assert len(piece.chunks) == 3
