"""Does permessage-deflate pay for chat: bytes saved, processor time and memory spent?"""

from __future__ import annotations

from benchmarks.frame import Question
from benchmarks.socket_deflate.deflating import (
    LEVEL,
    VIEWERS,
    deflate_alone,
    make_side,
    measure_per_socket,
)

QUESTION = Question(
    name="socket_deflate",
    sentence=__doc__ or "",
    sides={
        "plain": make_side(None, 1),
        "per_socket": measure_per_socket,
        "shared": make_side(deflate_alone, VIEWERS),
    },
    configuration={
        "lines": "chat events of 2 to 14 words from 200 people, one per frame",
        "level": LEVEL,
        "per_socket": "a window of 32 KiB per socket that remembers earlier frames",
        "shared": f"no context takeover; deflated once for {VIEWERS} viewers",
        "delivery": "deflating, and one send(2) into a socket pair",
    },
)
