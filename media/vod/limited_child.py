"""A child process with limits for bytes that nobody has looked at yet.

The probe and the owner's own pictures are read in one: it inherits no secrets, may write no file,
and its time, memory and CPU time are bounded. Blocks; callers on a loop use a thread.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from os import defpath, pathsep

Child = subprocess.Popen[bytes]
EXIT_REFUSED = 3
"""The child's words on standard output are the reason."""


class ChildTooSlow(Exception):
    """The child was stopped at the end of its time."""


@dataclass(frozen=True)
class ChildLimits:
    """What the child may use before it is stopped."""

    time_s: float = 60.0
    cpu_s: int = 30
    memory_bytes: int = 3 << 30


def run_child(
    module: str, arguments: list[str], limits: ChildLimits, data: bytes = b""
) -> tuple[int, bytes]:
    """Run `python -m module cpu_s memory_bytes …` on `data`; return its exit status and output.

    Raises ChildTooSlow after `limits.time_s`. The module calls `limit_this_process` first.
    """
    return finish_child(start_child(module, arguments, limits), limits, data)


def start_child(
    module: str, arguments: list[str], limits: ChildLimits, inherited: Sequence[int] = ()
) -> Child:
    """Start the module, which gets ready and waits for its input; `inherited` are descriptors.

    Whoever starts it calls `finish_child`, or kills it and waits.
    """
    command = [sys.executable, "-m", module, str(limits.cpu_s), str(limits.memory_bytes)]
    # The child parses hostile bytes: it inherits no secrets, only where our packages are.
    environment = {"PATH": defpath, "PYTHONPATH": pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(  # noqa: S603  # our own interpreter and module, no shell
        [*command, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=tuple(inherited),
    )


def finish_child(child: Child, limits: ChildLimits, data: bytes = b"") -> tuple[int, bytes]:
    """Give it its input; return its exit status and output. Raises ChildTooSlow, having killed it.

    Its time counts from here.
    """
    try:
        output, _ = child.communicate(data, timeout=limits.time_s)
    except subprocess.TimeoutExpired as error:
        stop_child(child)
        raise ChildTooSlow from error
    return child.returncode, output


def stop_child(child: Child) -> None:
    """End a child, whatever it does."""
    child.kill()
    child.communicate()


def limit_this_process(arguments: list[str]) -> list[str]:
    """In the child: take the limits off the arguments and set them; return the rest."""
    cpu_s, memory_bytes = int(arguments[0]), int(arguments[1])
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    return arguments[2:]
