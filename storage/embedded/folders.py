"""The folder of one embedded server: its layout, locks, private files and log.

    start.lock   held while somebody starts or stops the server
    alive.lock   held by every process of the server for as long as it lives (inherited)
    state.json   passwords and port, 0600     data/   the server's own, 0700     *.log

Used by the launchers. Files belong to the owner of the root folder, `data` to the server's account.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.file_locks import take_lock
from storage.embedded.accounts import Account, check_reachable, find_account
from storage.embedded.errors import FolderBusy, FolderUnusable

LOG_BYTES_MAX = 10 << 20
LOG_TAIL_BYTES = 2000
LOCK_POLL_S = 0.02
SOCKET_PATH_BYTES_MAX = 107
SHORT_FOLDER_PREFIX = "socialflow-"
# The shortest path everywhere; what we make in it is 0700, and a stranger's is never used.
SHORT_PARENT = Path("/tmp")  # noqa: S108 - see the line above


@dataclass(frozen=True)
class ServerFolder:
    """Where one server lives and who runs it; `root` is absolute with links resolved."""

    root: Path
    account: Account

    @property
    def data(self) -> Path:
        """Return the folder only the server writes to."""
        return self.root / "data"

    @property
    def state(self) -> Path:
        """Return the file with passwords and port."""
        return self.root / "state.json"


def open_folder(root: Path) -> ServerFolder:
    """Make the folder if needed and check that the server's account can enter it.

    Raises FolderUnusable, FolderUnreachable, NoUnprivilegedUser.
    """
    root = root.resolve()
    account = find_account(root)
    mode = 0o711 if account.is_other else 0o700
    try:
        missing = [path for path in (*reversed(root.parents), root) if not path.exists()]
        for path in missing:
            path.mkdir(exist_ok=True)
            path.chmod(mode)
        if account.is_other and root.stat().st_uid == 0:
            root.chmod(mode)
        if not os.access(root, os.W_OK | os.X_OK):
            raise PermissionError(f"user {account.name} cannot write in {root}")
    except OSError as error:
        raise FolderUnusable(
            f"The data folder {root} cannot be used: {error}. Set SOCIALFLOW_HOME to a folder "
            "of your own.",
            folder=str(root),
        ) from error
    check_reachable(root, account)
    return ServerFolder(root, account)


def find_folder(root: Path) -> ServerFolder | None:
    """Return the folder of an existing server, or None where there never was one."""
    root = root.resolve()
    try:
        if not (root / "data").is_dir():
            return None
        next((root / "data").iterdir(), None)
    except PermissionError as error:
        raise FolderUnusable(f"{root} belongs to another user: {error}.") from error
    return ServerFolder(root, find_account(root))


def make_account_folder(path: Path, account: Account) -> None:
    """Make an empty 0700 folder that belongs to the server's account."""
    path.mkdir(mode=0o700, exist_ok=True)
    if account.is_other:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _open_owned(path: Path, flags: int, *, mode: int = 0o600) -> int:
    """Open a file beside the root's other files, owned like the root, never through a link."""
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, mode)
    except OSError as error:
        raise FolderUnusable(f"{path} cannot be opened: {error}.", file=str(path)) from error
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


@contextlib.contextmanager
def hold_folder(folder: ServerFolder, *, timeout_s: float) -> Iterator[None]:
    """Keep other starters and stoppers out; raises FolderBusy after `timeout_s`."""
    descriptor = _open_owned(folder.root / "start.lock", os.O_RDWR)
    try:
        end = time.monotonic() + timeout_s
        while not take_lock(descriptor):
            if time.monotonic() > end:
                raise FolderBusy(
                    f"Another start or stop has held {folder.root} for {timeout_s:g} s.",
                    folder=str(folder.root),
                )
            time.sleep(LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)


def find_alive_lock(folder: ServerFolder) -> int | None:
    """Return a descriptor that holds alive.lock, or None while any process of a server has it.

    Pass it on to every process of the new server, then close it: the lock ends with the last of
    them, whatever kills them, also when process ids of another container mean nothing here.
    """
    descriptor = _open_owned(folder.root / "alive.lock", os.O_RDWR)
    if take_lock(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def is_server_gone(folder: ServerFolder) -> bool:
    """Say whether no process of the server is left."""
    descriptor = find_alive_lock(folder)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def write_file(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace a file in the root folder as one step, durably (two fsyncs)."""
    staged = path.with_name(f".{path.name}.new")
    staged.unlink(missing_ok=True)
    descriptor = _open_owned(staged, os.O_WRONLY | os.O_EXCL, mode=mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    staged.replace(path)
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def write_state(folder: ServerFolder, state: dict[str, object]) -> None:
    """Keep passwords and port for later starts (0600)."""
    write_file(folder.state, json.dumps(state, indent=1) + "\n")


def find_state(folder: ServerFolder) -> dict[str, object] | None:
    """Return what write_state kept; None when the file is missing or not readable as JSON."""
    try:
        state = json.loads(folder.state.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    except PermissionError as error:
        raise FolderUnusable(f"{folder.state} belongs to another user: {error}.") from error
    return state if isinstance(state, dict) else None


@dataclass(frozen=True)
class ServerLog:
    """An open log and where this start's part of it begins."""

    path: Path
    descriptor: int
    start_bytes: int

    def read_tail(self) -> str:
        """Return the last 2,000 bytes this start has written."""
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            file.seek(max(self.start_bytes, size - LOG_TAIL_BYTES))
            return file.read(LOG_TAIL_BYTES).decode("utf-8", "replace")


@contextlib.contextmanager
def open_log(path: Path) -> Iterator[ServerLog]:
    """Open a server's log for appending; one of 10 MB or more becomes `<name>.1` first."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size >= LOG_BYTES_MAX:
            path.replace(path.with_name(path.name + ".1"))
    descriptor = _open_owned(path, os.O_WRONLY | os.O_APPEND)
    try:
        yield ServerLog(path, descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def make_socket_folder(folder: ServerFolder, file_name: str) -> Path:
    """Return a 0700 folder whose socket `file_name` fits into 107 bytes, the system's limit.

    It is `run` in the root; for a deep root, or one with a comma, at which clients split their
    list of hosts, one in /tmp, with a random name if a stranger has taken ours there.
    """
    near = folder.root / "run"
    if len(os.fsencode(near / file_name)) <= SOCKET_PATH_BYTES_MAX and "," not in str(near):
        make_account_folder(near, folder.account)
        return near
    digest = hashlib.sha256(os.fsencode(folder.root)).hexdigest()[:12]
    short = SHORT_PARENT / f"{SHORT_FOLDER_PREFIX}{folder.account.uid}-{digest}"
    try:
        short.mkdir(mode=0o700)
    except FileExistsError:
        facts = short.lstat()
        if facts.st_uid == folder.account.uid and facts.st_mode == stat.S_IFDIR | 0o700:
            return short
        short = Path(tempfile.mkdtemp(prefix=SHORT_FOLDER_PREFIX, dir=SHORT_PARENT))
    if folder.account.is_other:
        os.chown(short, folder.account.uid, folder.account.gid, follow_symlinks=False)
    return short


def remove_short_folder(path: str) -> None:
    """Remove a socket folder that make_socket_folder put in /tmp; other paths are left alone."""
    if Path(path).parent == SHORT_PARENT and Path(path).name.startswith(SHORT_FOLDER_PREFIX):
        shutil.rmtree(path, ignore_errors=True)
