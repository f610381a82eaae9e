"""The command line `socialflow`: thin commands over the modules beside it.

Prints for people, exits 0, 1 (it did not work) or 130 (interrupted). Heavy work runs in processes
of its own, so that `status` answers at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.table import Table

from cluster import node_commands
from cluster.apart import run_apart
from cluster.boot import ask_database
from cluster.doctor import Verdict, examine
from cluster.environment import make_environment
from cluster.home import Home, prepare_home
from cluster.joining import accept as accept_invitation
from cluster.keys import ensure_keys
from cluster.launch import (
    Flags,
    find_home,
    find_supervisor,
    open_site,
    read_settings,
    redirect_errors,
    start_detached,
    stop_supervised,
)
from cluster.log_files import follow_log, list_logs, read_tail
from cluster.manual import list_values, render_manual
from cluster.servers import POSTGRES, Servers
from cluster.settings_files import load_installation
from cluster.status import read_status
from cluster.status_table import print_status
from cluster.steps import PatientConsole, Screen
from cluster.supervisor import Supervisor, find_lock
from kit.errors import AppError
from kit.logs import configure_logs, get_log
from kit.settings import copy_environment
from serve_apps.access.identity import Role

app = typer.Typer(
    name="socialflow",
    help="Run Social Flow on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = PatientConsole(soft_wrap=True)
HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Data folder (default: .socialflow here).")
]
LOGGED_COMMANDS = "supervisor.log"
SCENE_S_MAX = 20
"""As `media.scenes.render.LENGTH_S_MAX`, which brings every codec along; a test compares them."""

app.command()(node_commands.invite)
app.command()(node_commands.drain)
app.command()(node_commands.forget)

log = get_log("cluster.cli")


@app.command()
def up(
    port: Annotated[int | None, typer.Option(help="Port of the page and the API.")] = None,
    home: HomeOption = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when it runs.")] = False,
) -> None:
    """Start the product, or join the running one. Ctrl-C stops it."""
    flags = Flags(home=home, port=port)
    _start(find_home(flags, copy_environment()), flags, detach=detach)


@app.command()
def join(
    invitation: Annotated[Path, typer.Argument(help="The file that the head wrote.")],
    home: HomeOption = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when it runs.")] = False,
) -> None:
    """Accept an invitation and start this machine's part; later `socialflow up` is enough."""
    flags = Flags(home=home)
    place = find_home(flags, copy_environment())
    prepare_home(place)
    accept_invitation(place, invitation)
    _start(place, flags, detach=detach)


def _start(place: Home, flags: Flags, *, detach: bool) -> NoReturn:
    """Start or join the product in a home and stay with it, or follow it until it runs."""
    screen = Screen(console)
    screen.say("[bold]Social Flow[/]")
    if place.moved_from is not None:
        screen.say(
            f"  Data lies in {place.root}: the database must not run as root, and its user cannot "
            f"enter {place.moved_from.parent}. SOCIALFLOW_HOME chooses another folder."
        )
    prepare_home(place)
    if detach and find_supervisor(place) is None:
        raise typer.Exit(start_detached(place, flags, console))
    lock = find_lock(place.run)
    if lock is None:
        screen.say("  Already running; this start joins it.\n")
        print_status(console, read_status(place))
        raise typer.Exit(0)
    redirect_errors(place, LOGGED_COMMANDS)
    configure_logs(read_settings(place).log_level)
    site = open_site(place, flags, screen)
    raise typer.Exit(asyncio.run(Supervisor(site).run()))


@app.command()
def down(
    home: HomeOption = None,
    now: Annotated[bool, typer.Option("--now", help="End every process at once.")] = False,
) -> None:
    """Stop the product in order, from any terminal, also one whose supervisor is gone."""
    place = find_home(Flags(home=home), copy_environment())
    screen = Screen(console)
    if not place.run.exists():
        screen.say("  Nothing runs here.")
        raise typer.Exit(0)
    supervisor = find_supervisor(place)
    if supervisor is not None:
        is_stopped = stop_supervised(supervisor, place, screen, hard=now)
        screen.say(
            "  Stopped." if is_stopped else "  It did not stop in time: socialflow down --now"
        )
        raise typer.Exit(0 if is_stopped else 1)
    lock = find_lock(place.run)
    if lock is None:
        _refuse("Another command is starting or stopping the product right now.")
    status = read_status(place)
    if not any(part.pids for part in status.parts):
        screen.say("  Nothing runs here.")
    redirect_errors(place, LOGGED_COMMANDS)
    configure_logs()
    site = open_site(place, Flags(home=home), screen)
    raise typer.Exit(asyncio.run(Supervisor(site).stop(hard=now)))


@app.command()
def status(
    home: HomeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show every part: process, CPU, memory, health."""
    found = read_status(find_home(Flags(home=home), copy_environment()))
    if as_json:
        sys.stdout.write(json.dumps(found.to_json(), indent=1, default=str) + "\n")
    else:
        print_status(console, found)
    raise typer.Exit(0 if found.state == "running" else 1)


@app.command()
def role(
    username: Annotated[str, typer.Argument(help="Whose role.")],
    name: Annotated[str, typer.Argument(help="user, creator, moderator or admin.")],
    home: HomeOption = None,
) -> None:
    """Give a person a role; the way to name the first administrator."""
    if name not in set(Role):
        _refuse(f"There is no role {name!r}.", f"Choose one of {', '.join(Role)}.")
    place = find_home(Flags(home=home), copy_environment())
    if read_status(place).state == "stopped":
        _refuse("Nothing runs here.", "Start it first: socialflow up")
    person = run_apart(
        "cluster.people", {"home": str(place.root), "username": username, "role": name}
    )
    console.print(f"  {person['username']} is {person['role']} now, and has to log in again.")


@app.command()
def doctor(home: HomeOption = None) -> None:
    """Check this machine and say what to mend."""
    place = find_home(Flags(home=home), copy_environment())
    findings = examine(place, read_settings(place))
    marks = {Verdict.GOOD: "[green]✓[/]", Verdict.NOTE: "[yellow]![/]", Verdict.BAD: "[red]✗[/]"}
    for finding in findings:
        console.print(f"  {marks[finding.verdict]} {finding.name:<18} {finding.found}")
        if finding.cure:
            console.print(f"      {finding.cure}", style="dim", highlight=False)
    raise typer.Exit(1 if any(found.verdict is Verdict.BAD for found in findings) else 0)


@app.command()
def migrate(home: HomeOption = None) -> None:
    """Bring the database to this code's schema."""
    place = find_home(Flags(home=home), copy_environment())
    prepare_home(place)
    environ = copy_environment()
    settings = load_installation(place, environ)
    environment = make_environment(
        place, settings, ensure_keys(place.keys, settings.cluster), environ
    )
    servers = Servers(place, settings)
    if settings.database.url:
        revision = ask_database(environment, settings.database.url)
    else:
        server = servers.start(POSTGRES)
        try:
            revision = ask_database(environment, getattr(server, "dsn", ""))
        finally:
            if not server.joined:
                servers.stop(POSTGRES, immediate=False)
    console.print(f"  The schema is at {revision}.")


@app.command()
def settings(
    home: HomeOption = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a page.")] = False,
    write: Annotated[Path | None, typer.Option(help="Write the page there.")] = None,
) -> None:
    """List every setting with its present value; secrets are masked."""
    if markdown or write:
        _write_or_print(render_manual(), write)
        return
    place = find_home(Flags(home=home), copy_environment())
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("setting", "value", "meaning"):
        table.add_column(title, overflow="fold")
    for row in list_values(read_settings(place)):
        table.add_row(*row)
    console.print(table)


@app.command()
def openapi(
    write: Annotated[Path | None, typer.Option(help="Write the description there.")] = None,
    messages: Annotated[
        Path | None, typer.Option(help="Write the page's types of the socket's messages there.")
    ] = None,
) -> None:
    """Print the API's description (OpenAPI 3.1)."""
    _write_or_print(_describe("cluster.openapi"), write)
    if messages is not None:
        _write_or_print(_describe("cluster.page_messages"), messages)


@app.command()
def seed(
    home: HomeOption = None,
    live: Annotated[bool, typer.Option(help="Leave a demo live on air.")] = True,
    scene_seconds: Annotated[
        int,
        typer.Option(
            help="Cut the scenes to this length: quicker to render and to transcode.",
            min=1,
            max=SCENE_S_MAX,
        ),
    ] = SCENE_S_MAX,
) -> None:
    """Fill a running site with people, videos, posts and a demo live."""
    place = find_home(Flags(home=home), copy_environment())
    if read_status(place).state == "stopped":
        _refuse("Nothing runs here to fill.", "Start it first: socialflow up")
    started_s = time.monotonic()
    notes = run_apart(
        "cluster.seed.command",
        {"home": str(place.root), "with_live": live, "scene_s_max": scene_seconds},
        lambda line: console.print(
            f"  {time.monotonic() - started_s:6.1f} s  {line}", highlight=False
        ),
    )
    url = read_status(place).url
    console.print(f"\n  {url} has a small world now. Log in as bea, password {notes['password']}")


@app.command()
def logs(
    part: Annotated[str | None, typer.Argument(help="A part of `status`, or a file.")] = None,
    home: HomeOption = None,
    lines: Annotated[int, typer.Option("-n", help="Lines from the end.")] = 40,
    follow: Annotated[bool, typer.Option("-f", help="Go on as it grows.")] = False,
) -> None:
    """Show the end of a part's log; without a part, list the logs."""
    place = find_home(Flags(home=home), copy_environment())
    found = list_logs(place, read_status(place) if part else None)
    if part is None:
        for name, path in found.items():
            console.print(f"  {name:<16} {path}", highlight=False)
        return
    if part not in found:
        _refuse(f"There is no log of {part}.", f"There are: {', '.join(found)}")
    console.print(read_tail(found[part], lines), markup=False, highlight=False)
    if follow:
        for line in follow_log(found[part]):
            console.print(line, end="", markup=False, highlight=False)


def _describe(module: str) -> str:
    """Return what a module prints of the API; it runs in a process of its own."""
    result = subprocess.run(  # noqa: S603 -- one of our own modules
        [sys.executable, "-m", module], capture_output=True, text=True, check=False, timeout=120
    )
    if result.returncode != 0:
        _refuse(f"The API could not be built:\n{result.stderr[-2000:]}")
    return result.stdout


def _write_or_print(text: str, path: Path | None) -> None:
    if path is None:
        sys.stdout.write(text)
    else:
        path.write_text(text)
        console.print(f"  Wrote {path}.", highlight=False)


def _refuse(problem: str, cure: str = "") -> NoReturn:
    Screen(console).refuse(problem, cure)
    raise typer.Exit(1)


def main() -> None:
    """Run the command line; a refusal is a sentence, not a traceback."""
    try:
        app()
    except AppError as error:
        Screen(console).refuse(error.text)
        raise SystemExit(1) from error
    except BrokenPipeError:
        # The reader of a pipe left early, as `socialflow logs | head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        # Standard error may lead to a log file by now, and the person must still hear of it.
        log.exception("command.failed")
        Screen(console).refuse(f"Something unforeseen: {error!r}")
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
