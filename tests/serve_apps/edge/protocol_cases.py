"""What a strict RFC 6455 server does with a client's bytes, by Autobahn|Testsuite's sections.

Each case is what the client writes, what an echo answers, and the close code that ends it: 1000
where the client closed in peace.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.serve_apps.edge.frame_client import (
    BINARY,
    CLOSE,
    MASK,
    PING,
    PONG,
    TEXT,
    close,
    frame,
    header,
    mix,
)

GOODBYE = close(1000)
GREEK = "κόσμε".encode()
TOO_HIGH = b"\xf4\x90\x80\x80"
SURROGATE = b"\xed\xa0\x80"


@dataclass(frozen=True)
class Case:
    """One conversation; `pieces` are written one by one, each in a packet of its own."""

    name: str
    pieces: tuple[bytes, ...]
    echoes: tuple[tuple[int, bytes], ...] = ()
    code: int = 1002


def _peaceful(name: str, sent: bytes, *echoes: tuple[int, bytes]) -> Case:
    return Case(name, (sent + GOODBYE,), echoes, 1000)


def _sized() -> list[Case]:
    cases = []
    for size in (0, 1, 125, 126, 127, 128, 65_535, 65_536):
        for opcode in (TEXT, BINARY):
            payload = b"*" * size
            cases.append(
                _peaceful(
                    f"1 framing: {size} bytes {opcode}", frame(opcode, payload), (opcode, payload)
                )
            )
    return cases


FRAMING = [
    *_sized(),
    Case("1 masking required", (bytes((0x81, 2)) + b"hi",)),
    Case(
        "1 length not shortest", (bytes((0x81, 0x80 | 126)) + b"\x00\x05" + MASK + mix(b"short"),)
    ),
    Case("1 length beyond 63 bits", (bytes((0x82, 0x80 | 127)) + b"\x80" + bytes(7) + MASK,)),
]
PINGS = [
    _peaceful("2 ping", frame(PING), (PONG, b"")),
    _peaceful("2 ping with 125 bytes", frame(PING, b"\xfe" * 125), (PONG, b"\xfe" * 125)),
    Case("2 ping with 126 bytes", (frame(PING, b"\xfe" * 126),)),
    Case("2 ping in two frames", (frame(PING, fin=False), frame(0))),
    _peaceful("2 unsolicited pong", frame(PONG, b"x") + frame(PING, b"y"), (PONG, b"y")),
    _peaceful("2 ten pings", frame(PING, b"n") * 10, *[(PONG, b"n")] * 10),
    Case("2 close with 126 bytes", (close(1000, b"." * 124),)),
    Case(
        "2 ping byte by byte",
        tuple(bytes((byte,)) for byte in frame(PING, b"s") + GOODBYE),
        ((PONG, b"s"),),
        1000,
    ),
]
RESERVED = [
    Case(
        f"3 reserved bits {bits} on {opcode}",
        (frame(TEXT, b"ok") + frame(opcode, b"x", reserved=bits),),
        ((TEXT, b"ok"),),
    )
    for bits in range(1, 8)
    for opcode in (TEXT, BINARY, PING, CLOSE)
]
OPCODES = [
    Case(f"4 opcode {opcode}", (frame(TEXT, b"ok") + frame(opcode, payload),), ((TEXT, b"ok"),))
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    for payload in (b"", b"payload")
]
FRAGMENTS = [
    _peaceful("5 two fragments", frame(TEXT, b"ab", fin=False) + frame(0, b"cd"), (TEXT, b"abcd")),
    _peaceful(
        "5 empty fragments", frame(TEXT, fin=False) + frame(0, fin=False) + frame(0), (TEXT, b"")
    ),
    _peaceful(
        "5 a ping between",
        frame(BINARY, b"ab", fin=False) + frame(PING, b"p") + frame(0, b"cd"),
        (PONG, b"p"),
        (BINARY, b"abcd"),
    ),
    Case("5 nothing to continue", (frame(0, b"x") + frame(TEXT, b"y"),)),
    Case("5 nothing to continue, unfinished", (frame(0, b"x", fin=False),)),
    Case("5 a text inside a message", (frame(TEXT, b"a", fin=False), frame(TEXT, b"b"))),
    Case("5 a text inside an empty beginning", (frame(TEXT, fin=False), frame(TEXT, b"b"))),
    Case(
        "5 continued after the end",
        (frame(TEXT, b"a", fin=False) + frame(0, b"b") + frame(0, b"c"),),
        ((TEXT, b"ab"),),
    ),
]
TEXTS = [
    _peaceful("6 UTF-8", frame(TEXT, GREEK), (TEXT, GREEK)),
    _peaceful(
        "6 UTF-8 cut inside a character",
        b"".join(
            frame(TEXT if at == 0 else 0, GREEK[at : at + 1], fin=False) for at in range(len(GREEK))
        )
        + frame(0),
        (TEXT, GREEK),
    ),
    _peaceful(
        "6 noncharacters are fine",
        frame(TEXT, "\uffff\U0010ffff".encode()),
        (TEXT, "\uffff\U0010ffff".encode()),
    ),
    Case("6 surrogate", (frame(TEXT, SURROGATE),), code=1007),
    Case("6 overlong", (frame(TEXT, b"\xc0\xaf"),), code=1007),
    Case("6 unfinished character", (frame(TEXT, GREEK[:-1]),), code=1007),
    Case("6 fails before the message ends", (frame(TEXT, GREEK + TOO_HIGH, fin=False),), code=1007),
    Case(
        "6 fails in the next fragment",
        (frame(TEXT, GREEK + b"\xf4", fin=False), frame(0, b"\x90", fin=False)),
        code=1007,
    ),
    Case("6 fails before the frame ends", (header(TEXT, 1000), mix(GREEK + TOO_HIGH)), code=1007),
]
CODES_VALID = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
CODES_INVALID = (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
CLOSES = [
    Case("7 close without a code", (frame(CLOSE),), code=1000),
    Case("7 close with one byte", (frame(CLOSE, b"\x03"),)),
    Case("7 close with a reason", (close(1000, GREEK),), code=1000),
    Case("7 close with a reason that is not UTF-8", (close(1000, TOO_HIGH),), code=1007),
    Case("7 nothing is read after a close", (GOODBYE + frame(PING, b"late"),), code=1000),
    Case("7 a message after a close", (GOODBYE + frame(TEXT, b"late"),), code=1000),
    *[Case(f"7 close {code}", (close(code),), code=1000) for code in CODES_VALID],
    *[Case(f"7 close {code} is invalid", (close(code),)) for code in CODES_INVALID],
]
LIMITS = [
    _peaceful("9 a megabyte", frame(BINARY, b"\xfe" * (1 << 20)), (BINARY, b"\xfe" * (1 << 20))),
    _peaceful(
        "9 a megabyte in 1 KiB fragments",
        frame(TEXT, b"*" * 1024, fin=False) + frame(0, b"*" * 1024, fin=False) * 1023 + frame(0),
        (TEXT, b"*" * (1 << 20)),
    ),
    Case("9 more than the limit, announced", (header(BINARY, (16 << 20) + 1),), code=1009),
    _peaceful("10 many frames in a packet", frame(TEXT, b"n") * 500, *[(TEXT, b"n")] * 500),
]
CASES = [*FRAMING, *PINGS, *RESERVED, *OPCODES, *FRAGMENTS, *TEXTS, *CLOSES, *LIMITS]
