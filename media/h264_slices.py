"""How long the header of an H.264 slice is: what Common Encryption leaves readable.

`media/cenc.py` asks it for every slice of a protected picture. It knows what this project's own
encoder writes and refuses the rest: 4:4:4, slice groups, data partitions (ITU-T H.264 §7.3.3).
"""

from __future__ import annotations

from dataclasses import dataclass

from media.h264_bits import Bits, ParameterSetMalformed, skip_to_chroma, unescape

NAL_SLICE = 1
NAL_IDR = 5
NAL_SLICES = (NAL_SLICE, NAL_IDR)
HEADER_BYTES_MAX = 512
"""More than 32 references with their weights take."""
SLICE_P, SLICE_B, SLICE_I, SLICE_SP, SLICE_SI = range(5)
CHROMA_444 = 3
LIST_END = 3
REFERENCES_MAX = 32


@dataclass(frozen=True)
class _Sequence:
    """What slices depend on of their sequence parameter set."""

    frame_num_bits: int
    order_kind: int
    order_bits: int
    has_no_order_delta: bool
    has_frames_only: bool
    has_chroma: bool


@dataclass(frozen=True)
class _Picture:
    """What slices depend on of their picture parameter set."""

    sequence_id: int
    is_cabac: bool
    has_field_order: bool
    references: tuple[int, int]
    is_weighted: bool
    weighs_both: int
    has_deblocking: bool
    has_redundant: bool


class SliceHeaders:
    """Measures slice headers by the parameter sets of an avcC payload."""

    def __init__(self, config: bytes) -> None:
        """Read the sets (ISO/IEC 14496-15 §5.3.3.1.2); raises ParameterSetMalformed."""
        self._sequences: dict[int, _Sequence] = {}
        self._pictures: dict[int, _Picture] = {}
        try:
            self.length_bytes = (config[4] & 3) + 1
            at = self._read_sets(config, 6, config[5] & 31)
            self._read_sets(config, at + 1, config[at])
        except IndexError as error:
            raise ParameterSetMalformed("the configuration ends early") from error

    def measure(self, nal: bytes) -> int:
        """Bytes of a slice up to the first that holds slice data alone; `nal` may be cut off."""
        begun = nal[:HEADER_BYTES_MAX]
        plain = unescape(begun)
        bits = Bits(plain)
        self._skip(bits)
        used = len(plain) - bits.left // 8
        return _count_escaped(begun, used)

    def _read_sets(self, config: bytes, at: int, count: int) -> int:
        for _set in range(count):
            size = int.from_bytes(config[at : at + 2], "big")
            nal = config[at + 2 : at + 2 + size]
            at += 2 + size
            if nal[0] & 31 == 7:
                self._add_sequence(unescape(nal[1:]))
            else:
                self._add_picture(Bits(unescape(nal[1:])))
        return at

    def _add_sequence(self, payload: bytes) -> None:
        bits = Bits(payload)
        number = Bits(payload[3:]).read_code()  # behind profile and level
        chroma = skip_to_chroma(bits)
        if chroma == CHROMA_444:
            raise ParameterSetMalformed("4:4:4 has slices of another shape")
        frame_num_bits = bits.read_code() + 4
        kind, order_bits, has_no_delta = bits.read_code(), 0, False
        if kind == 0:
            order_bits = bits.read_code() + 4
        elif kind == 1:
            has_no_delta = bool(bits.read(1))
            bits.read_code()
            bits.read_code()
            for _frame in range(min(bits.read_code(), 255)):
                bits.read_code()
        bits.read_code()  # max_num_ref_frames
        bits.read(1)
        bits.read_code()
        bits.read_code()
        self._sequences[number] = _Sequence(
            frame_num_bits, kind, order_bits, has_no_delta, bool(bits.read(1)), chroma != 0
        )

    def _add_picture(self, bits: Bits) -> None:
        number, sequence_id = bits.read_code(), bits.read_code()
        is_cabac, has_field_order = bool(bits.read(1)), bool(bits.read(1))
        if bits.read_code():
            raise ParameterSetMalformed("slice groups")
        references = (bits.read_code() + 1, bits.read_code() + 1)
        is_weighted, weighs_both = bool(bits.read(1)), bits.read(2)
        for _offset in range(3):  # pic_init_qp, pic_init_qs, chroma_qp_index_offset
            bits.read_code()
        has_deblocking = bool(bits.read(1))
        bits.read(1)
        self._pictures[number] = _Picture(
            sequence_id,
            is_cabac,
            has_field_order,
            references,
            is_weighted,
            weighs_both,
            has_deblocking,
            bool(bits.read(1)),
        )

    def _skip(self, bits: Bits) -> None:
        """Read past slice_header(), §7.3.3."""
        bits.read(1)
        is_reference, is_idr = bits.read(2) > 0, bits.read(5) == NAL_IDR
        bits.read_code()  # first_mb_in_slice
        kind = bits.read_code() % 5
        picture = self._pictures.get(bits.read_code())
        sequence = None if picture is None else self._sequences.get(picture.sequence_id)
        if picture is None or sequence is None:
            raise ParameterSetMalformed("a slice without its parameter set")
        bits.read(sequence.frame_num_bits)
        is_field = not sequence.has_frames_only and bool(bits.read(1))
        if is_field:
            bits.read(1)
        if is_idr:
            bits.read_code()
        _skip_order(bits, sequence, has_second=picture.has_field_order and not is_field)
        if picture.has_redundant:
            bits.read_code()
        _skip_references(bits, sequence, picture, kind)
        if is_reference:
            _skip_marking(bits, is_idr=is_idr)
        if picture.is_cabac and kind not in (SLICE_I, SLICE_SI):
            bits.read_code()
        bits.read_code()  # slice_qp_delta
        if kind in (SLICE_SP, SLICE_SI):
            raise ParameterSetMalformed("switching slices")
        if picture.has_deblocking and bits.read_code() != 1:
            bits.read_code()
            bits.read_code()


def _skip_order(bits: Bits, sequence: _Sequence, *, has_second: bool) -> None:
    if sequence.order_kind == 0:
        bits.read(sequence.order_bits)
        if has_second:
            bits.read_code()
    elif sequence.order_kind == 1 and not sequence.has_no_order_delta:
        bits.read_code()
        if has_second:
            bits.read_code()


def _skip_references(bits: Bits, sequence: _Sequence, picture: _Picture, kind: int) -> None:
    """How many references there are, in which order, and with which weights."""
    if kind == SLICE_B:
        bits.read(1)
    if kind not in (SLICE_P, SLICE_B):
        return
    counts = list(picture.references)
    lists = 2 if kind == SLICE_B else 1
    if bits.read(1):
        counts[:lists] = [bits.read_code() + 1 for _list in range(lists)]
    if max(counts) > REFERENCES_MAX:
        raise ParameterSetMalformed("more references than there can be")
    for _list in range(lists):
        if bits.read(1):
            while bits.read_code() != LIST_END:
                bits.read_code()
    if (picture.is_weighted and kind == SLICE_P) or (picture.weighs_both == 1 and kind == SLICE_B):
        _skip_weights(bits, sequence, counts[:lists])


def _skip_weights(bits: Bits, sequence: _Sequence, counts: list[int]) -> None:
    bits.read_code()
    if sequence.has_chroma:
        bits.read_code()
    for count in counts:
        for _reference in range(count):
            numbers = 2 * bits.read(1)
            for _number in range(numbers):
                bits.read_code()
            numbers = 4 * bits.read(1) if sequence.has_chroma else 0
            for _number in range(numbers):
                bits.read_code()


def _skip_marking(bits: Bits, *, is_idr: bool) -> None:
    """dec_ref_pic_marking(), §7.3.3.3."""
    if is_idr:
        bits.read(2)
        return
    if not bits.read(1):
        return
    while operation := bits.read_code():
        if operation != 5:
            bits.read_code()
        if operation == 3:
            bits.read_code()


def _count_escaped(data: bytes, plain_bytes: int) -> int:
    """How many bytes of `data` hold its first `plain_bytes` without emulation prevention."""
    at = zeros = 0
    left = plain_bytes
    while left:
        if zeros >= 2 and data[at] == 3:
            zeros = 0
        else:
            zeros = zeros + 1 if data[at] == 0 else 0
            left -= 1
        at += 1
    return at
