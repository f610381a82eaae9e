"""The commands about other machines, which `cli` puts into the command line.

They print for people, as all commands do; the work is in `joining`, `drain` and `forget`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cluster.environment import make_environment
from cluster.home import Home
from cluster.joining import invite as invite_machine
from cluster.joining import list_invited, withdraw_invitation
from cluster.keys import ensure_keys
from cluster.launch import Flags, find_home, read_settings
from cluster.records import write_private
from cluster.status import read_status
from cluster.steps import PatientConsole
from kit.errors import AppError
from kit.settings import copy_environment

ASK_TIMEOUT_S = 120
HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Data folder (default: .socialflow here).")
]
console = PatientConsole(soft_wrap=True)


class NodeCommandRefused(AppError):
    """What was asked for cannot be done; the text says why."""

    code, status, message = "node_command_refused", 409, "This cannot be done now."


def invite(
    name: Annotated[str, typer.Argument(help="A name for the machine.")],
    host: Annotated[str, typer.Option(help="Address at which the others reach it.")],
    write: Annotated[Path, typer.Option(help="Write the invitation there, 0600.")],
    home: HomeOption = None,
) -> None:
    """Write the file with which another machine joins this one; it holds secrets."""
    place = find_home(Flags(home=home), copy_environment())
    write_private(write, invite_machine(place, name, host))
    console.print(f"  Wrote {write}. Carry it to {name} and there: socialflow join {write.name}")


def drain(
    target: Annotated[str, typer.Argument(help="A host or edge as `status` names it, or a node.")],
    home: HomeOption = None,
    undo: Annotated[bool, typer.Option("--undo", help="Bring it back into service.")] = False,
) -> None:
    """Take a host, an edge or all of a node out of service; rooms and clients go elsewhere."""
    place = find_home(Flags(home=home), copy_environment())
    if read_status(place).state == "stopped":
        raise NodeCommandRefused("Nothing runs here.")
    answer = _ask_ray(place, "cluster.drain", {"target": target, "is_undone": undo})
    if not answer["actors"]:
        raise NodeCommandRefused(f"There is no {target}. There are: {', '.join(answer['known'])}")
    for name, fault in answer["actors"].items():
        console.print(f"  {name}: {fault or ('in service' if undo else 'drained')}", markup=False)
    raise typer.Exit(1 if any(answer["actors"].values()) else 0)


def forget(
    name: Annotated[str, typer.Argument(help="The machine, as it was invited.")],
    home: HomeOption = None,
) -> None:
    """Forget a machine that will not return: its invitation, and what waits for it here."""
    place = find_home(Flags(home=home), copy_environment())
    is_stopped = read_status(place).state == "stopped"
    ended: list[str] = []
    if not is_stopped:
        answer = _ask_ray(place, "cluster.forget", {"name": name})
        if answer["is_alive"]:
            raise NodeCommandRefused(f"{name} is alive. There first: socialflow down")
        ended = answer["ended"]
    if not withdraw_invitation(place, name) and not ended:
        invited = ", ".join(list_invited(place)) or "nobody"
        raise NodeCommandRefused(f"There is no {name}. Invited: {invited}")
    for what in ended:
        console.print(f"  {what}: gone", markup=False)
    console.print(f"  {name} is forgotten. Its certificate is still good, should it come back.")


def _ask_ray(place: Home, module: str, request: dict[str, Any]) -> dict[str, Any]:
    """Have a short-lived client of Ray do something; raises NodeCommandRefused."""
    settings = read_settings(place)
    keys = ensure_keys(place.keys, settings.cluster)
    result = subprocess.run(  # noqa: S603 -- one of our own modules
        [sys.executable, "-m", module],
        input=json.dumps(request),
        env=make_environment(place, settings, keys, copy_environment()),
        capture_output=True,
        text=True,
        check=False,
        timeout=ASK_TIMEOUT_S,
    )
    if result.returncode != 0:
        raise NodeCommandRefused(f"Ray could not be asked:\n{result.stderr[-1500:]}")
    return dict(json.loads(result.stdout))
