"""Files that unpack to far more than they are: built by hand, as no ordinary tool makes them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from tests.media.vod.atoms import iter_atoms, write_atom

BLOCK_BYTES = 1 << 20
COMPRESSION_OF_ALL_BLOCKS = b"\x50\x34\x80"
"""ContentCompression without children: zlib, by RFC 9559, 5.1.4.1.31.6."""
ZLIB_HEAD = b"\x78\xda"
LAST_BLOCK = b"\x03\x00"
"""An empty one: RFC 1951, 3.2.3."""
ADLER_BASE = 65_521
"""RFC 1950, 8.2."""
UNKNOWN_SIZE = b"\x01" + b"\xff" * 7


def deflate_zeros(size_bytes: int, head: bytes = b"") -> bytes:
    """Return what inflates to a head and so many zeros; about a thousandth of that.

    Costs next to nothing: behind a full flush the same bytes are the same block again.
    """
    whole, rest = divmod(size_bytes, BLOCK_BYTES)
    parts = _deflate(head) + _deflate(bytes(BLOCK_BYTES)) * whole + _deflate(bytes(rest))
    checksum = zlib.adler32(head)
    first = checksum & 0xFFFF
    second = ((checksum >> 16) + size_bytes * first) % ADLER_BASE
    return ZLIB_HEAD + parts + LAST_BLOCK + struct.pack(">HH", second, first)


def _deflate(data: bytes) -> bytes:
    """Return blocks that lean on nothing before them and end with a whole byte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


def compress_index(data: bytes, padding_bytes: int = 0) -> bytes:
    """Return an MP4 whose index, behind its media, is packed (cmov, QuickTime File Format, 2001).

    The index also holds so many bytes of nothing.
    """
    return b"".join(
        _pack_index(atom, padding_bytes) if name == b"moov" else atom
        for name, atom in iter_atoms(data)
    )


def _pack_index(moov: bytes, padding_bytes: int) -> bytes:
    # One stream: the index as it is, then an atom of zeros that says "skip me".
    size_bytes = len(moov) + (8 + padding_bytes if padding_bytes else 0)
    whole = struct.pack(">I4s", size_bytes, b"moov") + moov[8:]
    if padding_bytes:
        whole += struct.pack(">I4s", 8 + padding_bytes, b"free")
    packed = write_atom(b"cmvd", struct.pack(">I", size_bytes), deflate_zeros(padding_bytes, whole))
    return write_atom(b"moov", write_atom(b"cmov", write_atom(b"dcom", b"zlib"), packed))


@dataclass(frozen=True)
class Block:
    """One picture of a Matroska file; `packed` is as its bytes lie in the file."""

    at_ms: int
    packed: bytes
    is_key: bool


def read_blocks(path: Path) -> tuple[bytes, tuple[int, int], list[Block]]:
    """Return a clip's avcC, its size, and its pictures, each packed by zlib."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        blocks = [
            Block(round(packet.pts * packet.time_base * 1000), zlib.compress(bytes(packet)), it)
            for packet in container.demux(stream)
            if packet.size and (it := packet.is_keyframe) is not None
        ]
        size = stream.codec_context.width, stream.codec_context.height
        return bytes(stream.codec_context.extradata), size, blocks


def write_packed_matroska(
    path: Path, avcc: bytes, size: tuple[int, int], blocks: Sequence[Block]
) -> Path:
    """Write a Matroska file whose every block is packed by zlib."""
    video = _element(b"\xe0", _number(b"\xb0", size[0]), _number(b"\xba", size[1]))
    packing = _element(b"\x6d\x80", _element(b"\x62\x40", COMPRESSION_OF_ALL_BLOCKS))
    track = _element(
        b"\xae",
        *(_number(b"\xd7", 1), _number(b"\x73\xc5", 1), _number(b"\x83", 1)),
        *(_element(b"\x86", b"V_MPEG4/ISO/AVC"), _element(b"\x63\xa2", avcc)),
        *(video, packing),
    )
    with path.open("wb") as file:
        file.write(_element(b"\x1a\x45\xdf\xa3", _element(b"\x42\x82", b"matroska")))
        file.write(b"\x18\x53\x80\x67" + UNKNOWN_SIZE)
        file.write(_element(b"\x15\x49\xa9\x66", _number(b"\x2a\xd7\xb1", 1_000_000)))
        file.write(_element(b"\x16\x54\xae\x6b", track))
        for block in blocks:
            head = b"\x81" + struct.pack(">hB", 0, 0x80 if block.is_key else 0)
            simple = _element(b"\xa3", head, block.packed)
            file.write(_element(b"\x1f\x43\xb6\x75", _number(b"\xe7", block.at_ms), simple))
    return path


def _element(name: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return name + struct.pack(">Q", len(data) | 1 << 56) + data


def _number(name: bytes, value: int) -> bytes:
    return _element(name, value.to_bytes(8, "big"))


def write_png(path: Path, width: int, height: int) -> Path:
    """Write a black RGB picture; a hundred million pixels take about 300 kB."""
    rows = deflate_zeros((1 + 3 * width) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))
    return path


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
