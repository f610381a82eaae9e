"""AMF0: what is written is read again, and nothing a stranger sends costs more than its bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.rtmp.amf import DEPTH_MAX, ITEMS_MAX, decode_amf0, encode_amf0
from media.rtmp.errors import RtmpMalformed

pytestmark = pytest.mark.unit

NAMES = st.text(min_size=1, max_size=20)
LEAVES = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=40)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=5))
def test_what_is_written_is_read_again(values: list) -> None:
    assert decode_amf0(encode_amf0(*values)) == values


@given(st.binary(max_size=300))
def test_any_bytes_are_values_or_malformed(data: bytes) -> None:
    try:
        decode_amf0(data)
    except RtmpMalformed:
        return


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x02\x00\x05abc", id="string-cut-short"),
        pytest.param(b"\x00\x00", id="number-cut-short"),
        pytest.param(b"\x03\x00\x01a", id="object-without-end"),
        pytest.param(b"\x0a\xff\xff\xff\xff", id="array-of-four-billion"),
        pytest.param(b"\x0a\x00\x00\x00\x01" * (DEPTH_MAX + 2) + b"\x05", id="too-deep"),
        pytest.param(b"\x05" * (ITEMS_MAX + 1), id="too-many"),
        pytest.param(b"\x0d", id="unknown-type"),
    ],
)
def test_what_breaks_the_rules_is_refused(data: bytes) -> None:
    with pytest.raises(RtmpMalformed):
        decode_amf0(data)


def test_an_ecma_array_is_read_to_its_end_whatever_its_count_says() -> None:
    data = b"\x08\x00\x00\x00\x63" + b"\x00\x01a\x01\x01" + b"\x00\x00\x09"
    assert decode_amf0(data) == [{"a": True}]
