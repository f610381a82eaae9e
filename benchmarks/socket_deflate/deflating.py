"""Chat lines as the edge frames them, sent as they are, deflated per socket, or once for all."""

from __future__ import annotations

import hashlib
import random
import socket
import time
import uuid
import zlib
from collections.abc import Callable

import msgspec
import psutil

from benchmarks.frame import Answer, Form, Side
from serve_apps.edge.socket_frames import write_durable_event

LINES, LINES_SHORT = 20_000, 2_000
VIEWERS = 1_000
"""Of the shared side: one deflated frame serves them all."""
DEFLATERS = 500
LEVEL, WINDOW_BITS, MEMORY_LEVEL = 1, -15, 8
TAIL_BYTES = 4
"""00 00 FF FF, which a sender leaves out (RFC 7692, section 7.2.1)."""
TEXT = (
    "what a view over the harbour tonight how did you get there so fast hello everyone from lisbon "
    "nice stream the sound is much better now can you show the map again please yes no maybe"
)
WORDS = TEXT.split()


def make_lines(count: int) -> list[bytes]:
    """Return chat events of two hundred people, the same each time."""
    chance = random.Random(1)

    def draw_id() -> str:
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))

    room, epoch = draw_id(), draw_id()
    people = [(draw_id(), f"user{n}") for n in range(200)]
    lines = []
    for number in range(count):
        user_id, name = chance.choice(people)
        data = {
            "id": draw_id(),
            "room": room,
            "user": {"id": user_id, "username": name, "display_name": name.title()},
            "text": " ".join(chance.choices(WORDS, k=chance.randint(2, 14))),
            "client_id": draw_id(),
            "created_at": "2026-01-01T00:00:00.000Z",
        }
        body = msgspec.json.encode(data)
        lines.append(write_durable_event("chat_message", f"room:{room}", epoch, number, body))
    return lines


def make_deflater() -> zlib._Compress:
    """Return what one socket would keep."""
    return zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)


def deflate(deflater: zlib._Compress, line: bytes) -> bytes:
    """Deflate one message."""
    return (deflater.compress(line) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-TAIL_BYTES]


def deflate_alone(line: bytes) -> bytes:
    """Deflate one message without what came before, so that it is the same for everybody."""
    return deflate(make_deflater(), line)


def make_side(shape: Callable[[bytes], bytes] | None, deliveries_per_shape: int) -> Side:
    """Return a side that sends every line; `shape` runs once per so many deliveries."""

    async def measure(form: Form) -> Answer:
        lines = make_lines(form.choose(LINES, LINES_SHORT))
        frames, shape_s = lines, 0.0
        if shape is not None:
            started_s = time.process_time()
            frames = [shape(line) for line in lines]
            shape_s = (time.process_time() - started_s) / len(lines) / deliveries_per_shape
        figures = {
            "us_per_delivery": (shape_s + measure_writes(frames)) * 1e6,
            "bytes_per_line": sum(map(len, frames)) / len(frames),
        }
        return Answer(figures, hashlib.sha256(b"".join(lines)).hexdigest()[:12])

    return measure


async def measure_per_socket(form: Form) -> Answer:
    """Deflate with one deflater that remembers, as each socket would; and weigh many."""
    deflater = make_deflater()
    answer = await make_side(lambda line: deflate(deflater, line), 1)(form)
    return Answer({**answer.figures, "kib_per_socket": weigh_deflaters()}, answer.work)


def measure_writes(frames: list[bytes]) -> float:
    """Return the processor seconds of one write, without those of reading."""
    writer, reader = socket.socketpair()
    spent_s = 0.0
    with writer, reader:
        for frame in frames:
            started_s = time.process_time()
            writer.send(frame)
            spent_s += time.process_time() - started_s
            reader.recv(1 << 16)
    return spent_s / len(frames)


def weigh_deflaters() -> float:
    """Return the resident KiB of one deflater that has deflated a line."""
    line = make_lines(1)[0]
    process = psutil.Process()
    before = process.memory_info().rss
    kept = [make_deflater() for _ in range(DEFLATERS)]
    for deflater in kept:
        deflate(deflater, line)
    return (process.memory_info().rss - before) / 1024 / len(kept)
