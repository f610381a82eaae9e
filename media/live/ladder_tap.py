"""One live's ladder process, as the edge speaks to it; `ladder_lane.py` says what.

It is started anew a few times when it dies, then given up. Orders that it has not read yet wait in
memory: whoever gives them bounds how many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from media.live.kept_child import ChildRules, KeptChild
from media.live.ladder_words import HEADER, Word
from media.live.shedding import NICENESS

MODULE = "media.live.ladder_child"
RESTARTS_MAX = 3


@dataclass(frozen=True)
class TapCalls:
    """Who hears of it, on the loop."""

    hear: Callable[[Word, bytes], None]
    note_death: Callable[[], None]
    """What was handed over is lost."""


@dataclass(frozen=True)
class TapRules:
    """How the process is kept."""

    restarts_max: int = RESTARTS_MAX
    """So often is one that died started anew."""
    niceness: int = NICENESS


class LadderTap:
    """The process; `close()` ends it."""

    def __init__(self, calls: TapCalls, rules: TapRules) -> None:
        self._calls = calls
        self._child = KeptChild(
            ChildRules(
                MODULE,
                HEADER,
                self._hear,
                calls.note_death,
                rules.restarts_max,
                (str(rules.niceness),),
            )
        )
        self._child.start()

    @property
    def pid(self) -> int | None:
        """The process that takes orders at present."""
        return self._child.pid

    @property
    def restarts(self) -> int:
        """How often it was started anew."""
        return self._child.restarts

    @property
    def is_given_up(self) -> bool:
        """It died too often and stays away."""
        return self._child.is_given_up

    def order(self, word: Word, body: bytes = b"") -> None:
        """Give an order; it is lost while there is no process."""
        self._child.write(word.pack(body))

    async def wait_process(self) -> None:
        """Return once a process takes orders."""
        await self._child.wait_process()

    async def close(self) -> None:
        """End the process; closing twice does nothing."""
        await self._child.close()

    def _hear(self, fields: tuple[int, ...], body: bytes) -> None:
        self._calls.hear(Word(*fields[:-1]), body)
