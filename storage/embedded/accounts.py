"""Under which account an embedded server runs, and what that account can reach.

PostgreSQL refuses to run as root, and Valkey should not: when we are root both run as an ordinary
existing user. Called by folders, binaries and the launchers; it changes no ownership itself.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from storage.embedded.errors import FolderUnreachable, NoUnprivilegedUser

UNPRIVILEGED_NAMES = ("socialflow", "postgres", "nobody")
MINIMAL_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
CHECK_TIMEOUT_S = 10.0
FIRST_UNREACHABLE = 'for d do [ -x "$d" ] || { printf %s "$d"; exit 1; }; done'


@dataclass(frozen=True)
class Account:
    """The user a server runs as; `child_*` are what subprocess takes (None: stay who we are)."""

    uid: int
    gid: int
    is_other: bool

    @property
    def name(self) -> str:
        """Return the login name, or the number when the account has no name here."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @property
    def child_uid(self) -> int | None:
        """Return the `user` argument for subprocess."""
        return self.uid if self.is_other else None

    @property
    def child_gid(self) -> int | None:
        """Return the `group` argument for subprocess."""
        return self.gid if self.is_other else None

    @property
    def child_groups(self) -> list[int] | None:
        """Return the `extra_groups` argument for subprocess: none of root's groups stay."""
        return [] if self.is_other else None


def find_account(root: Path) -> Account:
    """Return who runs the server of `root`: we, or when we are root the owner of its data.

    The owner of existing data goes first, so that installing or removing a system user later
    does not lock the server out of its files. Raises NoUnprivilegedUser.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), is_other=False)
    for owned in (root / "data", root):
        if owned.exists() and (facts := owned.stat()).st_uid != 0:
            return Account(facts.st_uid, facts.st_gid, is_other=True)
    for name in UNPRIVILEGED_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, is_other=True)
    raise NoUnprivilegedUser(
        f"Running as root, and none of the users {', '.join(UNPRIVILEGED_NAMES)} exists to run "
        "the database servers. Create one, or run as an ordinary user."
    )


def run_as(account: Account, argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a short command as the account in `/` with a minimal environment (deadline 10 s)."""
    try:
        return subprocess.run(  # noqa: S603 - our own command line, no shell reads it
            argv,
            user=account.child_uid,
            group=account.child_gid,
            extra_groups=account.child_groups,
            env=MINIMAL_ENV,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CHECK_TIMEOUT_S,
            check=False,
        )
    except PermissionError as error:
        # Raised for a program the account cannot reach, and for root without CAP_SETUID.
        return subprocess.CompletedProcess(argv, 126, "", str(error))


def check_reachable(folder: Path, account: Account) -> None:
    """Refuse a folder that the account cannot enter; raises FolderUnreachable."""
    path = [str(parent) for parent in (*reversed(folder.parents), folder)]
    answer = run_as(account, ["/bin/sh", "-c", FIRST_UNREACHABLE, "sh", *path])
    if answer.returncode == 0:
        return
    if not answer.stdout:
        raise NoUnprivilegedUser(
            f"Running as root but not able to become user {account.name} for the database "
            f"servers ({answer.stderr.strip()[-200:]}). Run as an ordinary user instead."
        )
    raise FolderUnreachable(
        f"{folder} cannot be used: user {account.name}, who runs the database servers because "
        f"they must not run as root, cannot enter {answer.stdout}. Set SOCIALFLOW_HOME to a "
        "folder everyone may enter, for example /var/lib/socialflow.",
        folder=str(folder),
        blocked_at=answer.stdout,
        user=account.name,
    )
