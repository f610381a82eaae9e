"""Password hashes: what fits, what gets today's cost, and what it costs when nobody is known."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from serve_apps.accounts import passwords
from serve_apps.accounts.passwords import Passwords, PasswordsBusy

pytestmark = pytest.mark.unit


def make_hasher(time_cost: int = 1) -> PasswordHasher:
    return PasswordHasher(time_cost=time_cost, memory_cost=64, parallelism=1)


class CountingHasher(PasswordHasher):
    """Counts verifications and notes where they ran."""

    verified: int = 0
    threads: set[str]

    def verify(self, *args: object, **more: object) -> bool:
        self.verified += 1
        self.threads = {threading.current_thread().name}
        return super().verify(*args, **more)


@pytest.fixture
def lent() -> Iterator[Passwords]:
    made = Passwords(make_hasher())
    yield made
    made.close()


async def test_a_password_fits_its_hash_and_no_other_does(lent: Passwords):
    password_hash = await lent.hash("correct horse battery")
    assert (await lent.verify(password_hash, "correct horse battery")).fits
    assert not (await lent.verify(password_hash, "correct horse batterY")).fits
    assert not (await lent.verify("not a hash", "correct horse battery")).fits


async def test_nobodys_password_costs_one_verification_off_the_loop():
    hasher = CountingHasher(time_cost=1, memory_cost=64, parallelism=1)
    lent = Passwords(hasher)
    assert not (await lent.verify(None, "anything")).fits
    assert hasher.verified == 1
    assert all(name.startswith("passwords") for name in hasher.threads)
    lent.close()


async def test_a_hash_of_an_older_cost_is_replaced_when_it_fits(lent: Passwords):
    older = make_hasher(time_cost=2).hash("correct horse battery")
    verdict = await lent.verify(older, "correct horse battery")
    assert verdict.replacement is not None
    assert "t=1" in verdict.replacement
    assert (await lent.verify(older, "wrong")).replacement is None
    fresh = await lent.verify(verdict.replacement, "correct horse battery")
    assert (fresh.fits, fresh.replacement) == (True, None)


async def test_more_logins_than_bearable_are_refused_at_once(
    lent: Passwords, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(passwords, "WAITING_MAX", 3)
    results = await asyncio.gather(
        *(lent.hash("correct horse battery") for _ in range(6)), return_exceptions=True
    )
    assert [type(result) for result in results].count(PasswordsBusy) == 3


def test_the_products_own_cost_is_argon2id_with_19_mib():
    encoded = Passwords()._hasher.hash("x")
    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
