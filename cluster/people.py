"""Acts on people from the command line: the way to the first administrator."""

from __future__ import annotations

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
