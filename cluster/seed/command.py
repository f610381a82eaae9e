"""`socialflow seed` on a running site: fills it, then leaves the demo live sending.

Run by the command line as `python -m cluster.seed.command`: rendering films is no load for a
process that goes on to supervise.

The demo is a process of its own with the installation's settings, so that `status` shows it and
`down` ends it like every other part.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

from cluster.apart import Tell, serve_apart
from cluster.environment import make_environment
from cluster.home import Home
from cluster.keys import ensure_keys
from cluster.records import RecordShelf, make_record
from cluster.seed.fill import Notes, fill_site
from cluster.status import DEMO
from kit.logs import configure_logs
from kit.settings import SETTINGS_VARIABLE, Settings, copy_environment, load_settings


def seed_site(home: Home, tell: Tell, *, with_live: bool, scene_s_max: int) -> Notes:
    """Fill the site that runs in `home`; start the demo live unless it runs. Returns the notes."""
    settings = load_settings({SETTINGS_VARIABLE: str(home.running_settings_file)})
    notes = asyncio.run(fill_site(settings.http.public_url, home.root, tell, scene_s_max))
    if with_live and RecordShelf(home.run).find_alive(DEMO) is None:
        _start_demo(home, settings)
        tell("the demo live is on air")
    return notes


def _start_demo(home: Home, settings: Settings) -> None:
    environment = make_environment(
        home, settings, ensure_keys(home.keys, settings.cluster), copy_environment()
    )
    with (home.logs / f"{DEMO}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cluster.seed.demo_live"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    record = make_record(DEMO, process.pid)
    if record is not None:
        RecordShelf(home.run).write(record)


def _serve(request: dict[str, Any], tell: Tell) -> dict[str, str]:
    configure_logs("error")
    notes = seed_site(
        Home(Path(request["home"])),
        tell,
        with_live=request["with_live"],
        scene_s_max=request["scene_s_max"],
    )
    return {"password": notes.password}


if __name__ == "__main__":
    serve_apart(_serve)
