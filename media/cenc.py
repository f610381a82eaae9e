"""Common Encryption of CMAF tracks by the scheme `cbcs` (ISO/IEC 23001-7:2016).

`media/vod/track_writer.py` passes what it stores through a `TrackCipher`. H.264: of each slice one
block of ten is encrypted, its header stays readable; sound: every whole block. The initialisation
vector is the track's own and never changes, so that the same samples are the same bytes again. It
knows nothing of where keys come from.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from media.cmaf import Sample, box, full_box
from media.h264_slices import NAL_SLICES, SliceHeaders

SCHEME = "cbcs"
SCHEME_VERSION = 0x00010000
BLOCK_BYTES = 16
CRYPT_BLOCKS, SKIP_BLOCKS = 1, 9
"""§10.4: one block in ten of a picture."""
CLEAR_BYTES_MAX = 0xFFFF
SUBSAMPLES_MAX = 42
"""More do not fit into a size of one byte (saiz)."""
COMMON_SYSTEM_ID = bytes.fromhex("1077efecc0b24d02ace33c1e52e2fb4b")
"""Of boxes that list key ids alone (W3C, "cenc" Initialization Data Format)."""
PROTECTED_ENTRIES = {b"avc1": b"encv", b"mp4a": b"enca"}
ENTRY_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
STSD_HEAD_BYTES = 8


@dataclass(frozen=True)
class ContentKey:
    """A key of 16 bytes and the id, 16 bytes, by which files name it."""

    id: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Enciphered:
    """Samples as they are stored, and which of their bytes are readable; sound has no maps."""

    samples: tuple[Sample, ...]
    clear_maps: tuple[bytes, ...] = ()


class TrackCipher:
    """Encrypts one track: its samples, and in its init segment what says so."""

    def __init__(self, key: ContentKey, track: str) -> None:
        self._key = key
        self.vector = hashlib.sha256(key.id + track.encode()).digest()[:BLOCK_BYTES]
        """Another for each track: equal beginnings of two tracks do not show."""
        self._config: bytes | None = None
        self._headers: SliceHeaders | None = None

    def encrypt_pictures(self, samples: Sequence[Sample], config: bytes) -> Enciphered:
        """Encrypt H.264 whose avcC is `config`; raises ParameterSetMalformed."""
        if self._headers is None or config != self._config:
            self._config, self._headers = config, SliceHeaders(config)
        found = [self._encrypt_picture(sample.data, self._headers) for sample in samples]
        return Enciphered(
            tuple(
                replace(sample, data=data)
                for sample, (data, _map) in zip(samples, found, strict=True)
            ),
            tuple(clear_map for _data, clear_map in found),
        )

    def encrypt_sound(self, samples: Sequence[Sample]) -> Enciphered:
        """Encrypt every whole block of each frame (§9.7)."""
        return Enciphered(
            tuple(replace(it, data=self._encrypt_blocks(it.data, step=1)) for it in samples)
        )

    def protect_init(self, init_segment: bytes) -> bytes:
        """Say in an init segment how its track is encrypted, and with which key."""
        protected = _rewrite(init_segment, ENTRY_PATH, self._protect_descriptions)
        return _rewrite(protected, (b"moov",), lambda movie: movie + self._build_pssh())

    def _encrypt_picture(self, data: bytes, headers: SliceHeaders) -> tuple[bytes, bytes]:
        out, entries, clear, at = bytearray(data), bytearray(), 0, 0
        while at + headers.length_bytes < len(data):
            nal = at + headers.length_bytes
            stop = nal + int.from_bytes(data[at:nal], "big")
            readable = nal - at
            if data[nal] & 31 in NAL_SLICES:
                readable += headers.measure(data[nal:stop])
                first = at + readable
                if stop - first >= BLOCK_BYTES:
                    out[first:stop] = self._encrypt_blocks(
                        data[first:stop], step=CRYPT_BLOCKS + SKIP_BLOCKS
                    )
                    entries += _write_entry(clear + readable, stop - first)
                    clear, at = 0, stop
                    continue
            clear += stop - at
            at = stop
        clear += len(data) - at
        if clear or not entries:
            entries += _write_entry(clear, 0)
        count = len(entries) // 6
        assert count <= SUBSAMPLES_MAX, "a picture of more slices than the encoder makes"
        return bytes(out), struct.pack(">H", count) + bytes(entries)

    def _encrypt_blocks(self, data: bytes, step: int) -> bytes:
        """Encrypt the first of each `step` whole blocks, chained; the rest stays."""
        whole = len(data) // BLOCK_BYTES * BLOCK_BYTES
        encryptor = Cipher(AES(self._key.key), CBC(self.vector)).encryptor()
        if step == 1:
            return encryptor.update(data[:whole]) + data[whole:]
        starts = range(0, whole, step * BLOCK_BYTES)
        chosen = b"".join([data[at : at + BLOCK_BYTES] for at in starts])
        hidden, out = encryptor.update(chosen), bytearray(data)
        for number, at in enumerate(starts):
            out[at : at + BLOCK_BYTES] = hidden[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
        return bytes(out)

    def _protect_descriptions(self, table: bytes) -> bytes:
        """Rename each sample entry and append what it was and how it is encrypted (sinf)."""
        out = table[:STSD_HEAD_BYTES]
        for kind, body in iter_boxes(table[STSD_HEAD_BYTES:]):
            entry = PROTECTED_ENTRIES[kind]
            scheme = full_box(b"schm", 0, 0, SCHEME.encode(), struct.pack(">I", SCHEME_VERSION))
            details = box(b"schi", self._build_tenc(is_picture=entry == b"encv"))
            out += box(entry, body, box(b"sinf", box(b"frma", kind), scheme, details))
        return out

    def _build_tenc(self, *, is_picture: bool) -> bytes:
        pattern = CRYPT_BLOCKS << 4 | SKIP_BLOCKS if is_picture else 0
        head = struct.pack(">BBBB", 0, pattern, 1, 0)
        vector = bytes([len(self.vector)]) + self.vector
        return full_box(b"tenc", 1, 0, head, self._key.id, vector)

    def _build_pssh(self) -> bytes:
        return build_pssh(self._key.id)


def build_pssh(key_id: bytes) -> bytes:
    """The box with which browsers begin to ask for a key: it names the id and nothing else."""
    return full_box(
        b"pssh", 1, 0, COMMON_SYSTEM_ID, struct.pack(">I", 1), key_id, struct.pack(">I", 0)
    )


def find_avc_config(init_segment: bytes) -> bytes:
    """Return the avcC payload of an init segment of H.264."""
    entry = init_segment.index(b"avcC")
    (size_bytes,) = struct.unpack_from(">I", init_segment, entry - 4)
    return init_segment[entry + 4 : entry - 4 + cast("int", size_bytes)]


def iter_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the boxes one after the other: kind and what each holds."""
    at = 0
    while at < len(data):
        (size_bytes,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + size_bytes]
        at += size_bytes


def _rewrite(data: bytes, path: Sequence[bytes], change: Callable[[bytes], bytes]) -> bytes:
    """Return boxes with what the box at `path` holds changed, and sizes set anew."""
    out = b""
    for kind, body in iter_boxes(data):
        found = body
        if kind == path[0]:
            found = change(body) if len(path) == 1 else _rewrite(body, path[1:], change)
        out += box(kind, found)
    return out


def _write_entry(clear_bytes: int, encrypted_bytes: int) -> bytes:
    """A subsample, behind others when what is readable is too long for one."""
    more, rest = divmod(clear_bytes, CLEAR_BYTES_MAX)
    return more * struct.pack(">HI", CLEAR_BYTES_MAX, 0) + struct.pack(">HI", rest, encrypted_bytes)
