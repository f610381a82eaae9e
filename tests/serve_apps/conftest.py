"""The API in process: ports on real servers, the app, a client, and people."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI

from kit.clock import ManualClock
from kit.settings import Settings
from serve_apps.accounts.passwords import Passwords
from serve_apps.api.app import build_app
from serve_apps.http.state import ApiPorts
from storage.cache import Cache
from storage.database import Database
from storage.objects import ObjectStore
from tests.serve_apps.api_client import (
    Person,
    RoomsWithoutLives,
    make_client,
    register,
    register_all_listeners,
)
from tests.serve_apps.hearing import hear

__all__ = ["hear"]


@pytest.fixture
async def ports(
    settings: Settings, database: Database, cache: Cache, objects: ObjectStore, clock: ManualClock
) -> ApiPorts:
    """Lend the API's ports, with rates off: tests of rates switch them on."""
    calm = dataclasses.replace(
        settings, limits=dataclasses.replace(settings.limits, rates_enabled=False)
    )
    lent = ApiPorts(calm, database, cache, objects, clock, RoomsWithoutLives())
    await register_all_listeners(lent)
    return lent


@pytest.fixture
def app(ports: ApiPorts) -> FastAPI:
    """Lend the app, with cheap password hashes."""
    built = build_app(ports)
    built.state.passwords.close()
    built.state.passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    return built


@pytest.fixture
def counting(ports: ApiPorts, settings: Settings) -> Iterator[FastAPI]:
    """Lend an app that counts against rate tiers."""
    built = build_app(dataclasses.replace(ports, settings=settings))
    built.state.passwords.close()
    built.state.passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    yield built
    built.state.passwords.close()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Lend an anonymous client."""
    async with make_client(app) as lent:
        yield lent
    app.state.passwords.close()


@pytest.fixture
async def ada(client: httpx.AsyncClient) -> Person:
    """Lend a person who is logged in."""
    return await register(client, "ada")


@pytest.fixture
async def bob(client: httpx.AsyncClient) -> Person:
    """Lend a second person who is logged in."""
    return await register(client, "bob")
