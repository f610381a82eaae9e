"""The folder of an installation: where it is, what lies in it, and who may read it.

Used by every command. Deciding the place reads the file system; `prepare_home` alone makes folders.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from kit.errors import AppError
from storage.embedded.accounts import Account, check_reachable, find_account
from storage.embedded.errors import FolderUnreachable

SYSTEM_HOMES = Path("/var/lib/socialflow")
DEFAULT_NAME = ".socialflow"
SHORT_FOLDERS = Path("/tmp")  # noqa: S108 -- checked for owner and mode before use


class HomeUnusable(AppError):
    """The folder of the installation, or Ray's short one, belongs to somebody else."""

    code, status, message = "home_unusable", 500, "The data folder cannot be used."


@dataclass(frozen=True)
class Home:
    """Where everything of one installation lies; `moved_from` is where it was first looked for."""

    root: Path
    moved_from: Path | None = None

    @property
    def settings_file(self) -> Path:
        """The person's settings and the secrets of this installation, 0600."""
        return self.root / "settings.toml"

    @property
    def run(self) -> Path:
        """Process records, sockets, the status board; 0700."""
        return self.root / "run"

    @property
    def running_settings_file(self) -> Path:
        """The whole tree as the running processes read it, 0600."""
        return self.run / "settings.toml"

    @property
    def logs(self) -> Path:
        """Logs of the supervisor and the crew, and a link to Ray's."""
        return self.root / "logs"

    @property
    def postgres(self) -> Path:
        """Folder of the embedded PostgreSQL."""
        return self.root / "postgres"

    @property
    def cache(self) -> Path:
        """Folder of the embedded Valkey that is the cache."""
        return self.root / "cache"

    @property
    def ray_store(self) -> Path:
        """Folder of the embedded Valkey that keeps the state of Ray's control service."""
        return self.root / "ray-store"

    @property
    def keys(self) -> Path:
        """Ray's token, the authority and this machine's certificate; 0700."""
        return self.root / "keys"

    @property
    def invitations(self) -> Path:
        """Whom the head invited, one small file each; 0700."""
        return self.root / "nodes"

    @property
    def short_folder(self) -> Path:
        """A folder of ours alone with a short path, because Unix sockets end at 107 bytes."""
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8]
        return SHORT_FOLDERS / f"sf-{os.geteuid()}-{digest}"

    @property
    def ray_folder(self) -> Path:
        """Ray's own folder; Ray opens it to everybody, so it lies in one that is closed."""
        return self.short_folder / "r"


def decide_home(home: Path, working_folder: Path) -> Home:
    """Return the home for the setting `home`; the default one moves where the servers can reach it.

    As root, PostgreSQL runs as another user. A checkout below a folder that this user cannot enter
    (say /root) then keeps its data in /var/lib/socialflow/<name>.
    """
    root = (working_folder / home).resolve()
    if os.geteuid() != 0 or home != Path(DEFAULT_NAME):
        return Home(root)
    account = find_account(root / "postgres")
    if _is_reachable(root, account):
        return Home(root)
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:6]
    return Home(SYSTEM_HOMES / f"{root.parent.name or 'home'}-{digest}", moved_from=root)


def prepare_home(home: Home) -> None:
    """Make the folders of an installation; raises HomeUnusable."""
    passable = 0o711 if os.geteuid() == 0 else 0o700
    try:
        for parent in reversed(home.root.parents):
            if not parent.exists():
                parent.mkdir(mode=0o755, exist_ok=True)
        for folder, mode in (
            (home.root, passable),
            (home.run, 0o700),
            (home.logs, 0o700),
            (home.keys, 0o700),
        ):
            folder.mkdir(exist_ok=True)
            if folder.stat().st_uid == os.geteuid():
                folder.chmod(mode)
            elif not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(f"{folder} belongs to another user")
    except OSError as error:
        raise HomeUnusable(
            f"The data folder {home.root} cannot be used: {error}. Set SOCIALFLOW_HOME to a "
            "folder of your own."
        ) from error


def prepare_ray_folder(home: Home) -> Path:
    """Make Ray's folder in a short one of ours; raises HomeUnusable when a stranger has it."""
    folder = home.short_folder
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if facts.st_uid == os.geteuid() and facts.st_mode & 0o077 and stat.S_ISDIR(facts.st_mode):
        # It was open for a while: what lies in it is not to be trusted.
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
        facts = folder.lstat()
    if facts.st_uid != os.geteuid() or facts.st_mode != stat.S_IFDIR | 0o700:
        raise HomeUnusable(
            f"{folder} is not ours alone (owner {facts.st_uid}, mode {facts.st_mode & 0o7777:o}). "
            f"Remove it: rm -r {folder}"
        )
    home.ray_folder.mkdir(exist_ok=True)
    return home.ray_folder


def _is_reachable(root: Path, account: Account) -> bool:
    nearest = next(path for path in (root, *root.parents) if path.exists())
    try:
        check_reachable(nearest, account)
    except FolderUnreachable:
        return False
    return True
