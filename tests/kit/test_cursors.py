"""Cursors: what was written is read back; anything else is refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.cursors import (
    CursorMalformed,
    Page,
    cut_page,
    decode_cursor,
    encode_cursor,
    make_moment_key,
    read_id_cursor,
    read_moment_cursor,
)
from kit.ids import make_id

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


def test_a_page_is_cut_where_one_row_more_was_found():
    assert cut_page([3, 2, 1], 3, lambda row: (row,)) == Page([3, 2, 1], None)
    assert cut_page([3, 2, 1], 2, lambda row: (row,)) == Page([3, 2], encode_cursor(2))
    assert cut_page([], 2, lambda row: (row,)) == Page([], None)


def test_cursors_of_ids_and_moments_read_back():
    row_id, moment = make_id(), datetime(2026, 1, 1, 12, 0, 0, 123_456, UTC)
    assert read_id_cursor(None) is None
    assert read_id_cursor(encode_cursor(str(row_id))) == row_id
    assert read_moment_cursor(None) is None
    assert read_moment_cursor(encode_cursor(*make_moment_key(moment, row_id))) == (moment, row_id)


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63), 1 << 200])
def test_a_number_that_no_column_holds_is_refused(number: int):
    with pytest.raises(CursorMalformed):
        decode_cursor(encode_cursor(number), 1)


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00", "soon", 7],
)
def test_a_moment_that_nothing_happened_at_is_refused(moment: str | int):
    with pytest.raises(CursorMalformed):
        read_moment_cursor(encode_cursor(moment, str(make_id())))
