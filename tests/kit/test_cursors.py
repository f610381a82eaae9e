"""Cursors: what was written is read back; anything else is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.cursors import CursorMalformed, decode_cursor, encode_cursor

pytestmark = pytest.mark.unit


@given(
    st.lists(st.one_of(st.text(max_size=40), st.integers(-(2**53), 2**53)), min_size=1, max_size=3)
)
def test_a_cursor_reads_back(key: list[str | int]):
    try:
        assert decode_cursor(encode_cursor(*key), len(key)) == key
    except CursorMalformed:
        assert len(encode_cursor(*key)) > 512


@pytest.mark.parametrize("text", ["", "!", "e30", "x" * 600, "WzEsMl0"])
def test_a_foreign_cursor_is_refused(text: str):
    with pytest.raises(CursorMalformed):
        decode_cursor(text, 1)
