"""A command's heavy half in a process of its own, so that the command line stays light.

The supervisor lives as long as the product and was started by the command line: whatever that
imports, it carries for good. Both halves are here: `run_apart` on the light side, `serve_apart`
as the whole of the other's `main`. A request goes in as JSON, lines of JSON come out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from kit.errors import AppError

Tell = Callable[[str], None]


class ApartFailed(AppError):
    """The other process refused or ended early; the text is what it said."""

    code, status, message = "command_failed", 500, "The command did not work."


def run_apart(module: str, request: dict[str, Any], tell: Tell | None = None) -> Any:
    """Run `python -m module`; pass on what it tells, return its answer. Raises ApartFailed.

    Standard error is the caller's, so a traceback reaches the person or the log.
    """
    with subprocess.Popen(  # noqa: S603 -- a module of ours
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None, "a pipe was asked for"
        assert process.stdout is not None, "a pipe was asked for"
        process.stdin.write(json.dumps(request))
        process.stdin.close()
        for line in process.stdout:
            said = json.loads(line)
            if "refusal" in said:
                raise ApartFailed(said["refusal"])
            if "answer" in said:
                return said["answer"]
            if tell is not None:
                tell(said["line"])
    raise ApartFailed(f"{module} ended early, with status {process.returncode}.")


def serve_apart(work: Callable[[dict[str, Any], Tell], Any]) -> None:
    """Read the request, do the work, answer; a refusal of ours is an answer too."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(**said: Any) -> None:
        pipe.write(json.dumps(said) + "\n")

    try:
        answer = work(json.load(sys.stdin), lambda line: say(line=line))
    except AppError as error:
        say(refusal=error.text)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # the command line was interrupted as well, and says so
    say(answer=answer)
