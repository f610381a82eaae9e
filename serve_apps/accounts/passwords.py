"""Password hashes: argon2id in a small pool of threads, so that the event loop never computes one.

One `Passwords` per process. A login of an unknown name costs the same as any other, so that the
time of a refusal does not tell who is registered.
Cost: OWASP Password Storage Cheat Sheet, argon2id with 19 MiB, 2 passes, 1 lane.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from kit.errors import Unavailable

MEMORY_KIB = 19_456
PASSES = 2
LANES = 1
WORKERS = 2
WAITING_MAX = 64
Result = TypeVar("Result")


class PasswordsBusy(Unavailable):
    """More logins at once than this process checks in reasonable time."""

    code, message = "login_busy", "Too many logins right now; try again in a moment."


@dataclass(frozen=True)
class PasswordVerdict:
    """Whether the password fits; `replacement` is a hash with today's cost, when one is due."""

    fits: bool
    replacement: str | None = None


class Passwords:
    """Hashes and verifies passwords off the event loop; whoever made it closes it."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES
        )
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="passwords")
        self._waiting = 0
        self._nobody = ""

    def close(self) -> None:
        """Let the threads end after their present work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Return the encoded hash; about 30 ms of a thread. Raises PasswordsBusy."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password_hash: str | None, password: str) -> PasswordVerdict:
        """Compare with a hash; None (nobody) never fits, as slowly. Raises PasswordsBusy."""
        return await self._run(lambda: self._verify(password_hash, password))

    def _verify(self, password_hash: str | None, password: str) -> PasswordVerdict:
        try:
            self._hasher.verify(password_hash or self._get_nobody(), password)
        except (VerificationError, InvalidHashError):
            return PasswordVerdict(fits=False)
        if password_hash is None:
            return PasswordVerdict(fits=False)
        if self._hasher.check_needs_rehash(password_hash):
            return PasswordVerdict(fits=True, replacement=self._hasher.hash(password))
        return PasswordVerdict(fits=True)

    def _get_nobody(self) -> str:
        """Return a hash that nothing fits, made once with today's cost."""
        if not self._nobody:
            self._nobody = self._hasher.hash(secrets.token_urlsafe(32))
        return self._nobody

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= WAITING_MAX:
            raise PasswordsBusy(retry_after_s=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
