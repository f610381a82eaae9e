"""Whose request it is, in the whole API: rates count the caller that a trusted proxy names."""

from __future__ import annotations

import dataclasses

import httpx
import pytest
from fastapi import FastAPI

from kit.setting_sections import SettingsInvalid
from kit.settings import Settings
from serve_apps.api.app import build_app
from serve_apps.http.state import ApiPorts
from tests.serve_apps.api_client import PASSWORD, make_client, register

pytestmark = pytest.mark.db

PROXY = "10.0.0.1"
STRANGER = "192.0.2.7"
CALLER, OTHER = "198.51.100.1", "198.51.100.2"
WRONG = {"login": "ada", "password": "a wrong password"}
RIGHT = {"login": "ada", "password": PASSWORD}


def trust(settings: Settings, *networks: str) -> Settings:
    http = dataclasses.replace(settings.http, trusted_proxies=networks)
    return dataclasses.replace(settings, http=http)


@pytest.fixture
def behind(counting: FastAPI) -> FastAPI:
    """Lend an app that counts, behind a proxy it trusts."""
    ports: ApiPorts = counting.state.ports
    counting.state.ports = dataclasses.replace(ports, settings=trust(ports.settings, "10.0.0.0/8"))
    return counting


async def refresh(client: httpx.AsyncClient, *forwarded: str) -> int:
    """Call what counts by address, with these lines of X-Forwarded-For; return the status."""
    lines = [("X-Forwarded-For", line) for line in forwarded]
    body = {"refresh_token": "none"}
    return (await client.post("/v1/auth/refresh", json=body, headers=lines)).status_code


async def test_callers_behind_a_trusted_proxy_have_an_allowance_each(behind: FastAPI):
    async with make_client(behind, PROXY) as proxy:
        while (status := await refresh(proxy, CALLER)) != 429:
            assert status == 401
        assert await refresh(proxy, OTHER) == 401
        assert await refresh(proxy, CALLER, f"{OTHER}, 10.0.0.2") == 401
        assert await refresh(proxy) == 401, "the proxy's own"


async def test_a_peer_that_nobody_trusts_is_its_own_address(behind: FastAPI):
    async with make_client(behind, STRANGER) as stranger, make_client(behind, PROXY) as proxy:
        number = 0
        while (status := await refresh(stranger, f"203.0.113.{number % 250}")) != 429:
            assert status == 401
            number += 1
        assert await refresh(proxy, CALLER) == 401


async def test_tries_to_log_in_count_by_the_forwarded_address(behind: FastAPI):
    async with make_client(behind, PROXY) as proxy:
        await register(proxy, "ada")
        codes = []
        for forwarded in (*[CALLER] * 11, OTHER):
            proxy.headers["X-Forwarded-For"] = forwarded
            codes.append((await proxy.post("/v1/auth/login", json=WRONG)).status_code)
        assert codes == [401] * 10 + [429, 401]
    async with make_client(behind, STRANGER) as stranger:
        codes = []
        for number in range(11):
            stranger.headers["X-Forwarded-For"] = f"203.0.113.{number}"
            codes.append((await stranger.post("/v1/auth/login", json=WRONG)).status_code)
        assert codes == [401] * 10 + [429]
        stranger.headers["X-Forwarded-For"] = OTHER
        assert (await stranger.post("/v1/auth/login", json=RIGHT)).status_code == 429


async def test_proxies_that_are_no_networks_are_refused_at_the_start(ports: ApiPorts):
    settings = trust(ports.settings, "everybody")
    with pytest.raises(SettingsInvalid):
        build_app(dataclasses.replace(ports, settings=settings))
