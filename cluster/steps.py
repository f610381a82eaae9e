"""What the person at the terminal sees: numbered steps with times, faults, countdowns.

On a terminal a line at the bottom shows what is under way; into a file or pipe only finished lines
go. A terminal that goes away is no reason to end: what cannot be written is dropped.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.status import Status

NAME_WIDTH = 26


class PatientConsole(Console):
    """A console that goes on when nobody reads any more; rich's own ends the program."""

    def on_broken_pipe(self) -> None:
        """Do nothing: what is lost here is in the log."""


@dataclass
class Step:
    """One step under way; `note` is what its finished line says beside the name."""

    name: str
    began_s: float
    note: str = ""


class Screen:
    """Prints for one command; `total` numbers the steps."""

    def __init__(self, console: Console, total: int = 0) -> None:
        self._console = console
        self._total = total
        self._done = 0
        self._running: list[Step] = []
        self._countdown = ""
        self._status: Status | None = None

    def say(self, text: str) -> None:
        """Print a line; rich markup counts."""
        with contextlib.suppress(OSError):
            self._console.print(text, highlight=False)

    def plan(self, total: int) -> None:
        """Begin to number anew; with 0 further steps are not shown."""
        self._total, self._done = total, 0

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show a step while it runs, and a numbered line with its time when it has ended."""
        step = Step(name, time.monotonic())
        if not self._total:
            yield step
            return
        self._running.append(step)
        self._show()
        mark = "[green]✓[/]"
        try:
            yield step
        except BaseException:
            mark = "[red]✗[/]"
            raise
        finally:
            self._running.remove(step)
            self._done += 1
            took_s = time.monotonic() - step.began_s
            number = f"{self._done}/{max(self._total, self._done)}"
            note = escape(step.note)
            self.say(
                f"{number:>6} {mark} {escape(name):<{NAME_WIDTH}} {took_s:5.1f} s  [dim]{note}[/]"
            )
            self._show()

    def count_down(self, text: str) -> None:
        """Show what is waited for and for how long; an empty text ends it."""
        self._countdown = text
        self._show()

    def fault(self, text: str) -> None:
        """Print that something failed or was mended, with the time of day."""
        moment = datetime.now().astimezone().strftime("%H:%M:%S")
        self.say(f"  [dim]{moment}[/] {escape(text)}")

    def refuse(self, problem: str, cure: str = "") -> None:
        """Print what is wrong and what helps."""
        self.say(f"\n  [bold red]✗[/] {escape(problem)}")
        if cure:
            self.say(f"    {escape(cure)}")

    def close(self) -> None:
        """Take the moving line away."""
        self._running, self._countdown = [], ""
        self._show()

    def _show(self) -> None:
        if not self._console.is_terminal:
            return
        words = self._countdown or " · ".join(step.name for step in self._running)
        with contextlib.suppress(OSError):
            if not words:
                if self._status is not None:
                    self._status.stop()
                self._status = None
            elif self._status is None:
                self._status = self._console.status(escape(words))
                self._status.start()
            else:
                self._status.update(escape(words))
