"""Acts on people from the command line: the way to the first administrator.

Run as `python -m cluster.people`, so that the command line carries no database.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from cluster.apart import Tell, serve_apart
from cluster.home import Home
from kit.clock import SystemClock
from kit.settings import SETTINGS_VARIABLE, load_settings
from serve_apps.access.identity import Role
from serve_apps.admin import service
from storage.database import Database, PoolOptions
from storage.users import Standing


async def give_role(home: Home, username: str, role: Role) -> Standing:
    """Give somebody of the running site a role, on record; raises PersonNotFound, LastAdmin."""
    settings = load_settings({SETTINGS_VARIABLE: str(home.running_settings_file)})
    options = PoolOptions(size=1, wait_s=settings.database.wait_s, name="socialflow-role")
    database = Database(settings.database.url, options)
    await database.open()
    try:
        async with database.transaction() as connection:
            outcome = await service.change_role(
                connection, None, username, role, SystemClock().now()
            )
    finally:
        await database.close()
    return outcome.person


def _serve(request: dict[str, Any], _tell: Tell) -> dict[str, str]:
    home = Home(Path(request["home"]))
    person = asyncio.run(give_role(home, request["username"], Role(request["role"])))
    return {"username": person.username, "role": person.role}


if __name__ == "__main__":
    serve_apart(_serve)
