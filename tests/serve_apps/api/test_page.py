"""The built page: its files, its addresses, and what never falls through to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from kit.clock import SystemClock
from serve_apps.api.page import PageFiles
from serve_apps.http.errors import install_errors
from serve_apps.http.frame import RequestFrame

pytestmark = pytest.mark.unit

HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("not for you")
    page = tmp_path / "dist"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html>the page")
    (page / "assets" / "main-abc123.js").write_text("start()")
    (page / "icon.svg").write_text("<svg/>")
    (page / "leak").symlink_to(tmp_path / "secret.txt")
    return page


def make_app(folder: Path | None) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    install_errors(app)
    app.router.default = PageFiles(folder)
    app.add_middleware(RequestFrame, clock=SystemClock())
    return app


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=make_app(folder))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as lent:
        yield lent


@pytest.mark.parametrize("path", ["/", "/watch/abc", "/live/01980f5e", "/@ada?tab=posts"])
async def test_every_address_of_the_page_gets_the_page(client: httpx.AsyncClient, path: str):
    answer = await client.get(path, headers=HTML)
    assert answer.status_code == 200
    assert "the page" in answer.text
    assert answer.headers["cache-control"] == "no-cache"
    assert "object-src 'none'" in answer.headers["content-security-policy"]


async def test_hashed_files_are_kept_forever_and_others_asked_for_again(
    client: httpx.AsyncClient,
):
    hashed = await client.get("/assets/main-abc123.js")
    assert hashed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert hashed.headers["content-type"].startswith("text/javascript")
    assert (await client.get("/icon.svg")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/v1/nothing", "/health/nothing", "/swagger/nothing", "/whep"])
async def test_addresses_of_the_api_never_become_the_page(client: httpx.AsyncClient, path: str):
    answer = await client.get(path, headers=HTML)
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


@pytest.mark.parametrize(
    "path", ["/assets/missing.js", "/../secret.txt", "/%2e%2e/secret.txt", "/leak", "/a%00b"]
)
async def test_what_is_not_in_the_folder_is_not_found(client: httpx.AsyncClient, path: str):
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_the_page_is_only_read(client: httpx.AsyncClient):
    assert (await client.post("/", headers=HTML)).status_code == 404


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "[::1]:8000"])
async def test_the_page_wants_a_name_and_its_files_do_not(client: httpx.AsyncClient, host: str):
    answer = await client.get("/watch/abc?t=3", headers=HTML | {"Host": host})
    assert answer.status_code == 307
    assert answer.headers["location"] == "http://localhost:8000/watch/abc?t=3"
    assert (await client.get("/icon.svg", headers={"Host": host})).status_code == 200


async def test_a_page_that_was_not_built_says_how_to_build_it():
    transport = httpx.ASGITransport(app=make_app(None))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        answer = await client.get("/", headers=HTML)
        assert answer.status_code == 503
        assert "has not been built" in answer.text


async def test_the_front_door_opens_for_clients_that_name_no_type(client: httpx.AsyncClient):
    answer = await client.get("/", headers={"Accept": "*/*"})
    assert (answer.status_code, "the page" in answer.text) == (200, True)
    looked = await client.head("/", headers=HTML)
    assert (looked.status_code, looked.text) == (200, "")
