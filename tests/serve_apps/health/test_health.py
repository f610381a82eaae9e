"""Health as load balancers and operators see it."""

from __future__ import annotations

import dataclasses

import httpx
import pytest
from fastapi import FastAPI

from serve_apps.api.app import build_app
from serve_apps.http.state import ApiPorts
from storage.cache import Cache
from storage.database import Database, DatabaseBusy, PoolOptions
from tests.serve_apps.api_client import make_client

pytestmark = pytest.mark.db


async def test_a_well_replica_is_ok_everywhere(client: httpx.AsyncClient):
    for path in ("/health", "/health/live", "/health/ready", "/health/startup"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["status"]) == (200, "ok"), path
    parts = (await client.get("/health/detailed")).json()["parts"]
    assert {part["name"]: part["status"] for part in parts} == {"database": "ok", "cache": "ok"}


async def test_without_postgresql_a_replica_lives_but_is_not_ready(ports: ApiPorts):
    gone = Database("postgresql://nobody@127.0.0.1:1/nothing", PoolOptions(size=1, wait_s=0.5))
    await gone.open()
    async with make_client(build_app(dataclasses.replace(ports, database=gone))) as client:
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/health")).json()["status"] == "down"
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()["error"]) == (503, "not_ready")
        assert ready.headers["retry-after"] == "1"
        refused = await client.get("/v1/feed/explore")
        assert (refused.status_code, refused.json()["error"]) == (503, "database_busy")
    await gone.close()


async def test_without_valkey_a_replica_is_degraded_and_serves(ports: ApiPorts, settings):
    away = Cache("redis://127.0.0.1:1")
    await away.open()
    lonely = dataclasses.replace(ports, cache=away, settings=settings)
    async with make_client(build_app(lonely)) as client:
        assert (await client.get("/health/ready")).json()["status"] == "degraded"
        answer = await client.get("/v1/feed/explore")
        assert answer.status_code == 200
        assert answer.headers["x-ratelimit-remaining"] == "299"
    await away.close()


async def test_metrics_count_requests_by_route_and_never_by_person(client: httpx.AsyncClient):
    await client.get("/v1/users/somebody")
    text = (await client.get("/metrics")).text
    assert 'route="/v1/users/{username}"' in text
    assert "somebody" not in text


async def test_metrics_show_what_hosts_counted_and_stay_when_none_can_be_found(
    app: FastAPI, client: httpx.AsyncClient, ports: ApiPorts
):
    async def measure() -> dict[str, bytes]:
        running = b'socialflow_objects_running{kind="room"} 9\n'
        return {"host-7": b"# TYPE socialflow_objects_running gauge\n" + running}

    async def fail() -> dict[str, bytes]:
        raise DatabaseBusy

    app.state.ports = dataclasses.replace(ports, measure_hosts=measure)
    assert (
        'socialflow_objects_running{host="host-7",kind="room"} 9.0'
        in (await client.get("/metrics")).text
    )
    app.state.ports = dataclasses.replace(ports, measure_hosts=fail)
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert "host-7" not in answer.text
